//! What a bench found: a table for people, and one line of JSON for programs.

use serde_json::{Map, Value};

/// Figures in the order in which they were found.
pub struct Report {
    figures: Vec<Figure>,
}

struct Figure {
    name: &'static str,
    meaning: String,
    value: Value,
}

impl Report {
    /// An empty report of one bench.
    pub fn of(bench: &'static str, services: u32) -> Self {
        let mut report = Self {
            figures: Vec::new(),
        };
        report.add("bench", "", bench);
        report.add("services", "custom resources", services);
        report
    }

    /// Adds a figure: its name in the JSON line, what it means with its unit, and its value.
    pub fn add(&mut self, name: &'static str, meaning: impl Into<String>, value: impl Into<Value>) {
        self.figures.push(Figure {
            name,
            meaning: meaning.into(),
            value: value.into(),
        });
    }

    /// Prints the table, and as the last line the JSON object.
    #[allow(clippy::print_stdout, reason = "a program for the terminal")]
    pub fn print(&self) {
        for Figure {
            name,
            meaning,
            value,
        } in &self.figures
        {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            println!("{name:22} {value:>16}  {meaning}");
        }
        let object: Map<String, Value> = self
            .figures
            .iter()
            .map(|figure| (figure.name.to_owned(), figure.value.clone()))
            .collect();
        println!("{}", Value::Object(object));
    }
}

/// A figure with as many digits as it is exact to.
pub fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10f64.powi(digits);
    (value * factor).round() / factor
}
