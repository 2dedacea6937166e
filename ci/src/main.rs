//! The one tool that pipelines call: `cargo ci <stage>`.
fn main() {}
