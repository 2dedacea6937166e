//! The examples of README.md: `console` fences with `$ command` lines and what they print.

/// One command and its output, as the README shows them.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) command: String,
    pub(crate) output: String,
}

/// All examples, in order.
pub(crate) fn examples(readme: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            examples.push(Example { command: command.to_owned(), output: String::new() });
        } else if let Some(example) = examples.last_mut().filter(|_| inside) {
            example.output.push_str(line);
            example.output.push('\n');
        }
    }
    examples
}

/// The text without what differs between two runs: generated ids and times.
pub(crate) fn normalised(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(len);
        out.push_str(match word {
            _ if is_uuid(word) => "UUID",
            _ if word.len() == 13 && word.bytes().all(|byte| byte.is_ascii_digit()) => {
                "MILLISECONDS"
            }
            _ if word.len() == 52 && word.starts_with("12D3KooW") => "PEER",
            _ => word,
        });
        let mut characters = behind.chars();
        out.extend(characters.next());
        rest = characters.as_str();
    }
    out.trim_end().to_owned()
}

fn is_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
