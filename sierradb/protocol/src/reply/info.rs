//! INFO: which sections are asked for, and its text.

use std::fmt::{Display, Write};

use bytes::Bytes;

/// Sections left out unless asked for: they grow with the number of commands.
const LONG_SECTIONS: [&str; 2] = ["Commandstats", "Latencystats"];

/// Which sections a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfoSelection {
    words: Vec<String>,
}

/// The text of INFO being put together: `# Section`, lines, an empty line, the next section.
#[derive(Debug, Default)]
pub struct InfoText {
    text: String,
}

impl InfoSelection {
    /// The sections that the words behind INFO name; none is `default`.
    pub fn of(words: &[Bytes]) -> Self {
        let lower = |word: &Bytes| String::from_utf8_lossy(word).to_lowercase();
        let mut words: Vec<_> = words.iter().map(lower).collect();
        if words.is_empty() {
            words.push("default".to_owned());
        }
        Self { words }
    }

    /// True if the section of this title is asked for.
    pub fn includes(&self, title: &str) -> bool {
        self.words.iter().any(|word| match word.as_str() {
            "all" | "everything" => true,
            "default" => !LONG_SECTIONS.contains(&title),
            name => name.eq_ignore_ascii_case(title),
        })
    }
}

impl InfoText {
    /// Begins a section.
    pub fn section(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\r\n");
        }
        self.write(format_args!("# {title}\r\n"));
    }

    /// Adds a line to the section. Control characters in the value become blanks, so a value is one line.
    pub fn line(&mut self, name: &str, value: impl Display) {
        let value = value.to_string().replace(char::is_control, " ");
        self.write(format_args!("{name}:{value}\r\n"));
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.text.write_fmt(arguments).expect("a String takes all that is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(line: &str) -> InfoSelection {
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let words: Vec<_> =
            words.into_iter().map(|w| Bytes::copy_from_slice(w.as_bytes())).collect();
        InfoSelection::of(&words)
    }

    #[test]
    fn the_default_leaves_out_what_grows() {
        for line in ["", "default", "DEFAULT"] {
            assert!(selection(line).includes("Server"));
            assert!(!selection(line).includes("Commandstats"));
        }
        for line in ["all", "everything", "ALL"] {
            assert!(selection(line).includes("Latencystats"));
        }
    }

    #[test]
    fn sections_are_asked_for_by_name() {
        let asked = selection("replication COMMANDSTATS nosuch");
        assert!(asked.includes("Replication") && asked.includes("Commandstats"));
        assert!(!asked.includes("Server"));
    }

    #[test]
    fn sections_are_parted_by_an_empty_line() {
        let mut text = InfoText::default();
        text.section("Server");
        text.line("tcp_port", 9090);
        text.section("Clients");
        text.line("name", "a\r\nb");
        assert_eq!(text.finish(), "# Server\r\ntcp_port:9090\r\n\r\n# Clients\r\nname:a  b\r\n");
    }
}
