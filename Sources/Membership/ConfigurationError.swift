/// All that is wrong with a configuration file, in the order of its lines.
package struct ConfigurationError: Error, Sendable, Equatable {
    package let problems: [ConfigurationProblem]

    package init(_ problems: [ConfigurationProblem]) {
        self.problems = problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    }
}

extension ConfigurationError: CustomStringConvertible {
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// One thing that is wrong, where it stands, and what would be right.
package struct ConfigurationProblem: Sendable, Equatable {
    package let file: String
    /// From 1; 0 if the problem is the file's as a whole.
    package let line: Int
    /// From 1; 0 if the problem is the file's as a whole.
    package let column: Int
    /// The key, such as `nodes[1].lmtp`; empty for the file's as a whole.
    package let path: String
    package let message: String

    package init(file: String, line: Int = 0, column: Int = 0, path: String = "", message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.message = message
    }
}

extension ConfigurationProblem: CustomStringConvertible {
    package var description: String {
        let place = line > 0 ? "\(file):\(line):\(column)" : file
        return path.isEmpty ? "\(place): \(message)" : "\(place): \(path): \(message)"
    }
}
