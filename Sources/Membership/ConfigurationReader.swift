import Yams

/// Walks a YAML document along the known keys, and gathers everything that is wrong with it.
struct ConfigurationReader {
    let file: String
    /// What `${…}` may stand for in any value.
    private var variables: [String: String]
    private(set) var problems: [ConfigurationProblem] = []
    private var path = ""
    private var marks: [String: Mark] = [:]

    init(file: String, variables: [String: String]) {
        self.file = file
        self.variables = variables
    }

    mutating func problem(_ message: String, _ node: Node? = nil, path: String? = nil) {
        problems.append(located(message, node, path: path ?? self.path))
    }

    /// What is to be said of a key, with the place where it stands.
    func located(_ message: String, _ node: Node? = nil, path: String) -> ConfigurationProblem {
        let mark = node?.mark ?? mark(of: path)
        return ConfigurationProblem(
            file: file, line: mark?.line ?? 0, column: mark?.column ?? 0, path: path, message: message)
    }

    /// Where the key stands, or the nearest of those around it that the file has.
    private func mark(of path: String) -> Mark? {
        var path = path[...]
        while true {
            if let mark = marks[String(path)] { return mark }
            guard let end = path.lastIndex(where: { $0 == "." || $0 == "[" }) else { return marks[""] }
            path = path[..<end]
        }
    }

    mutating func at<Result>(_ path: String, _ node: Node, _ body: (inout ConfigurationReader) -> Result) -> Result {
        let outer = self.path
        self.path = path
        marks[path] = node.mark
        defer { self.path = outer }
        return body(&self)
    }

    mutating func scalar<Value>(_ node: Node, _ kind: ConfigurationKind<Value>) -> Value? {
        guard case .scalar(let scalar) = node else {
            problem("expected \(kind.allowed), not a \(Self.shape(node))", node)
            return nil
        }
        let text = variables.reduce(scalar.string) { $0.replacing("${\($1.key)}", with: $1.value) }
        if let variable = Self.unknownVariable(text, keepsName: kind.keepsName) {
            problem(
                "there is no \(variable) here: known are ${HAUBERK_HOME} and, in frontends, nodes, trust.certificate, "
                    + "trust.key and membership.cache, ${NAME}", node)
            return nil
        }
        if let value = kind.parse(text) { return value }
        problem("\"\(scalar.string.prefix(80))\" is not allowed here: expected \(kind.allowed)", node)
        return nil
    }

    /// Reads one element of a list: `${NAME}` stands in it for what its key `name` says, if it has one.
    mutating func element<Result>(
        _ path: String, _ node: Node, _ body: (inout ConfigurationReader) -> Result
    ) -> Result {
        let outer = variables["NAME"]
        defer { variables["NAME"] = outer }
        if let name = node.mapping?["name"]?.scalar?.string, !name.contains("${") { variables["NAME"] = name }
        return at(path, node, body)
    }

    /// The elements of a list, each with its path.
    mutating func elements(_ node: Node) -> [(path: String, node: Node)] {
        guard case .sequence(let sequence) = node else {
            problem("expected a list, not a \(Self.shape(node))", node)
            return []
        }
        return sequence.enumerated().map { ("\(path)[\($0)]", $1) }
    }

    mutating func section<Section: ConfigurationSection>(_ node: Node, into section: inout Section) {
        let keys = Section.keys
        guard case .mapping(let mapping) = node else {
            problem(
                "expected a mapping with the keys \(Self.listed(keys.map(\.name))), not a \(Self.shape(node))", node)
            return
        }
        var missing = Set(keys.filter(\.isRequired).map(\.name))
        for (keyNode, value) in mapping {
            let name = keyNode.scalar?.string ?? ""
            guard let key = keys.first(where: { $0.name == name }) else {
                problem(Self.unknown(name, keys.map(\.name)), keyNode)
                continue
            }
            missing.remove(name)
            if Self.isNull(value), !key.isRequired { continue }
            at(path.isEmpty ? name : "\(path).\(name)", value) { key.read(&section, value, &$0) }
        }
        for name in keys.map(\.name) where missing.contains(name) { problem("the key \"\(name)\" is missing", node) }
    }

    private static func unknown(_ name: String, _ known: [String]) -> String {
        if let near = Spelling.nearest(to: name, among: known) {
            return "unknown key \"\(name)\": did you mean \"\(near)\"?"
        }
        return "unknown key \"\(name)\": known here are \(listed(known))"
    }

    /// The first `${…}` in the text that nothing will replace.
    private static func unknownVariable(_ text: String, keepsName: Bool) -> String? {
        let rest = keepsName ? text.replacing("${NAME}", with: "") : text
        guard let start = rest.firstRange(of: "${")?.lowerBound else { return nil }
        let end = rest[start...].firstIndex(of: "}").map(rest.index(after:)) ?? rest.endIndex
        return String(rest[start..<end])
    }

    private static func listed(_ names: [String]) -> String { names.joined(separator: ", ") }

    /// `key:` with nothing behind it is as good as no key.
    private static func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
        return ["", "~", "null"].contains(scalar.string)
    }

    private static func shape(_ node: Node) -> String {
        switch node {
        case .scalar: "single value"
        case .mapping: "mapping"
        case .sequence: "list"
        case .alias: "reference"
        }
    }
}

/// Finds the word that was probably meant.
enum Spelling {
    /// The nearest of the words, if it is near: at most a third of its letters differ, case set aside.
    static func nearest(to word: String, among words: [String]) -> String? {
        let ranked = words.map { (word: $0, distance: distance(Array(word.lowercased()), Array($0.lowercased()))) }
        guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(1, best.word.count / 3) ? best.word : nil
    }

    /// Insertions, deletions and replacements between two words (Levenshtein).
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var row = Array(0...right.count)
        for (index, character) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in right.enumerated() {
                let replaced = diagonal + (character == other ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, row[column] + 1, row[column + 1] + 1)
            }
        }
        return row[right.count]
    }
}
