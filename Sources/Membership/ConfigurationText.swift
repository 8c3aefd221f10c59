import Cluster
import Mail
import Yams

/// Why a file cannot be changed by a command.
package struct ConfigurationTextError: Error, Sendable, CustomStringConvertible {
    package let description: String
}

/// A configuration's text, and changes of its storage nodes in it. What does not change stays as it was written, comments
/// too.
package struct ConfigurationText: Sendable {
    package private(set) var text: String

    package init(_ text: String) { self.text = text }

    /// Writes another membership of the ring: nodes that come and go, weights, and the line for `cluster.epochs`.
    ///
    /// - Parameter epochs: the whole history, the new line too.
    package mutating func change(
        from old: [NodeSettings], to new: [NodeSettings], epochs: [String]
    ) throws(ConfigurationTextError) {
        for node in old where !new.contains(where: { $0.name == node.name }) { try remove(node.name) }
        for node in new {
            guard let before = old.first(where: { $0.name == node.name }) else {
                try add(node)
                continue
            }
            if before.weight != node.weight { try setWeight(of: node.name, to: node.weight) }
        }
        try setEpochs(epochs)
    }

    /// Writes `cluster.settled`.
    package mutating func setSettled(_ epoch: UInt64) throws(ConfigurationTextError) {
        if let value = try root()["cluster"]?["settled"] { return try replace(value, with: "\(epoch)") }
        try insertInCluster(["settled: \(epoch)"])
    }

    // MARK: the ring

    private mutating func setEpochs(_ epochs: [String]) throws(ConfigurationTextError) {
        guard let list = try root()["cluster"]?["epochs"]?.sequence, let last = list.last else {
            return try insertInCluster(["epochs:"] + epochs.map { "  - \($0)" })
        }
        guard !isFlow(try root()["cluster"]?["epochs"]), epochs.count >= list.count, let place = position(of: last)
        else {
            throw ConfigurationTextError(description: "cluster.epochs is not a list with a line for each epoch")
        }
        let indent = lines[place.line].prefix { $0 == " " }
        insert(epochs.dropFirst(list.count).map { "\(indent)- \($0)" }, before: place.line + 1)
    }

    private mutating func insertInCluster(_ added: [String]) throws(ConfigurationTextError) {
        guard let cluster = try root().mapping?.first(where: { $0.key.string == "cluster" }) else {
            return insert(["cluster:"] + added.map { "  \($0)" }, before: 0)
        }
        guard !isFlow(cluster.value), let first = cluster.value.mapping?.first?.key, let place = position(of: first)
        else {
            throw ConfigurationTextError(description: "cluster is not a mapping with a line for each key")
        }
        let indent = String(repeating: " ", count: place.column)
        insert(added.map { indent + $0 }, before: place.line)
    }

    // MARK: nodes

    private mutating func add(_ node: NodeSettings) throws(ConfigurationTextError) {
        let nodes = try root()["nodes"]
        guard !isFlow(nodes), let last = nodes?.sequence?.last, let place = position(of: last) else {
            throw ConfigurationTextError(description: "nodes is not a list with lines of its own for each node")
        }
        let indent = lines[place.line].prefix { $0 == " " }
        var added = ["- name: \(node.name)"]
        if let zone = node.zone { added.append("  zone: \(zone)") }
        if node.weight != 1 { added.append("  weight: \(node.weight)") }
        added += ["  lmtp: \"\(node.lmtp)\"", "  pop3: \"\(node.pop3)\""]
        if node.data != NodeSettings().data { added.append("  data: \"\(node.data)\"") }
        if node.trusted { added.append("  trusted: true") }
        if let address = node.telemetry.address { added.append("  telemetry: {address: \"\(address)\"}") }
        insert([""] + added.map { indent + $0 }, before: endOfList(from: place.line))
    }

    private mutating func remove(_ name: String) throws(ConfigurationTextError) {
        let list = try nodes()
        guard let index = list.firstIndex(where: { $0["name"]?.string == name }), let place = position(of: list[index])
        else {
            throw ConfigurationTextError(description: "no node \(name) is in the text")
        }
        let next = index + 1 < list.count ? position(of: list[index + 1])?.line : nil
        replaceLines(place.line..<(next ?? endOfList(from: place.line)), with: [])
    }

    private mutating func setWeight(of name: String, to weight: Int) throws(ConfigurationTextError) {
        guard let node = try nodes().first(where: { $0["name"]?.string == name }),
            let key = node.mapping?.first(where: { $0.key.string == "name" })?.key, let place = position(of: key)
        else {
            throw ConfigurationTextError(description: "no node \(name) is in the text")
        }
        if let value = node["weight"] { return try replace(value, with: "\(weight)") }
        guard !isFlow(node) else {
            throw ConfigurationTextError(description: "\(name) is written on one line and has no weight there")
        }
        insert([String(repeating: " ", count: place.column) + "weight: \(weight)"], before: place.line + 1)
    }

    private func nodes() throws(ConfigurationTextError) -> [Node] {
        guard let list = try root()["nodes"]?.sequence else {
            throw ConfigurationTextError(description: "nodes is no list")
        }
        return Array(list)
    }

    // MARK: lines

    /// Where a line ends with CR too, that is its last character.
    private var lines: [Substring] {
        text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { Substring($0) }
    }

    private func root() throws(ConfigurationTextError) -> Node {
        do {
            guard let root = try Yams.compose(yaml: text) else {
                throw ConfigurationTextError(description: "the text is empty")
            }
            return root
        } catch {
            throw ConfigurationTextError(description: "\(error)")
        }
    }

    /// Counted from 0.
    private func position(of node: Node) -> (line: Int, column: Int)? {
        node.mark.map { ($0.line - 1, $0.column - 1) }
    }

    /// Whether it is written in brackets. What the parser says of its style is that of its end, which has none.
    private func isFlow(_ node: Node?) -> Bool {
        guard let node, let place = position(of: node), place.line < lines.count else { return false }
        let start = lines[place.line].dropFirst(place.column).first
        return start == "{" || start == "["
    }

    private mutating func replace(_ value: Node, with new: String) throws(ConfigurationTextError) {
        guard let old = value.scalar?.string, let place = position(of: value) else {
            throw ConfigurationTextError(description: "a value is not where it was looked for")
        }
        var line = String(lines[place.line])
        let start = line.index(line.startIndex, offsetBy: place.column)
        guard line[start...].hasPrefix(old) else {
            throw ConfigurationTextError(description: "a value is quoted: \(line)")
        }
        line.replaceSubrange(start..<line.index(start, offsetBy: old.count), with: new)
        replaceLines(place.line..<place.line + 1, with: [line])
    }

    /// Behind the last line of the list that the line belongs to: before the next key of the top level, and before what
    /// comments on it.
    private func endOfList(from line: Int) -> Int {
        let lines = lines
        var end = line + 1
        while end < lines.count,
            Self.isBlank(lines[end]) || lines[end].first == " " || lines[end].first == "#"
                || lines[end].first == "-"
        {
            end += 1
        }
        while end > line + 1, Self.isBlank(lines[end - 1]) || lines[end - 1].first == "#" { end -= 1 }
        return end
    }

    private static func isBlank(_ line: Substring) -> Bool { line.allSatisfy { $0 == " " || $0 == "\r" } }

    private mutating func insert(_ added: [String], before line: Int) {
        replaceLines(line..<line, with: added)
    }

    private mutating func replaceLines(_ range: Range<Int>, with new: [String]) {
        var all = lines.map(String.init)
        let end = all[0].hasSuffix("\r") ? "\r" : ""
        all.replaceSubrange(range, with: new.map { $0.hasSuffix(end) ? $0 : $0 + end })
        text = all.joined(separator: "\n")
    }
}
