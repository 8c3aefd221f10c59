/// Why a line of a ring's history cannot be read.
package struct RingHistoryError: Error, Sendable, Equatable {
    /// Which line, from 0.
    package let line: Int
    package let message: String
}

/// The memberships of a ring, epoch by epoch: what has to be known to make its table again.
///
/// The first line names all founding members: `store-1 store-2=3 store-3=1@east` (name, weight, zone). Each later line
/// says what changed: `+store-4=2@west` came, `-store-1` left, `store-2=1` is the same node with another weight or zone,
/// `store-3=0` is to be emptied.
package struct RingHistory: Sendable, Equatable {
    /// The members of each epoch, the founding ones first. Never empty.
    package private(set) var memberships: [[RingMember]]

    package init(founders: [RingMember]) { memberships = [founders.sorted { $0.name < $1.name }] }

    package init(lines: [String]) throws(RingHistoryError) {
        var members: [String: RingMember] = [:]
        memberships = []
        for (index, line) in lines.enumerated() {
            let words = line.split(separator: " ")
            guard !words.isEmpty else { throw RingHistoryError(line: index, message: "an epoch without a change") }
            for word in words { try Self.apply(String(word), to: &members, index) }
            guard !members.isEmpty else { throw RingHistoryError(line: index, message: "an epoch without members") }
            memberships.append(members.values.sorted { $0.name < $1.name })
        }
        guard !memberships.isEmpty else { throw RingHistoryError(line: 0, message: "a history without epochs") }
    }

    /// The line that leads from the last epoch to these members; nil if there they are.
    package func lineToReach(_ members: [RingMember]) -> String? {
        let last = Dictionary(
            (memberships.last ?? []).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let next = Dictionary(members.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let words = Set(last.keys).union(next.keys).sorted().compactMap { name -> String? in
            guard let member = next[name] else { return "-\(name)" }
            if last[name] == member { return nil }
            return last[name] == nil ? "+\(Self.word(member))" : Self.word(member, isFull: true)
        }
        return words.isEmpty ? nil : words.joined(separator: " ")
    }

    /// The lines that give this history again.
    package var lines: [String] {
        var lines = [memberships[0].map { Self.word($0) }.joined(separator: " ")]
        for (before, after) in zip(memberships, memberships.dropFirst()) {
            lines.append(RingHistory(founders: before).lineToReach(after) ?? "")
        }
        return lines
    }

    /// One epoch more.
    package mutating func append(_ members: [RingMember]) {
        memberships.append(members.sorted { $0.name < $1.name })
    }

    /// The rings of all epochs from the `first` on, which is 1 for the founding one. Every membership must make a ring.
    package func rings(partitions: Int, replicas: Int, from first: Int = 1) -> [Ring] {
        var ring = Ring(members: memberships[0], partitions: partitions, replicas: replicas)
        var rings = first <= 1 ? [ring] : []
        for members in memberships.dropFirst() {
            ring = ring.changed(to: members)
            if ring.epoch >= first { rings.append(ring) }
        }
        return rings
    }

    /// `name[=weight][@zone]`; with `isFull` the weight stands there even if it is 1.
    private static func word(_ member: RingMember, isFull: Bool = false) -> String {
        let weight = member.weight == 1 && !isFull ? "" : "=\(member.weight)"
        return member.name + weight + (member.zone.map { "@\($0)" } ?? "")
    }

    private static func apply(
        _ word: String, to members: inout [String: RingMember], _ line: Int
    ) throws(RingHistoryError) {
        if word.hasPrefix("-") {
            guard members.removeValue(forKey: String(word.dropFirst())) != nil else {
                throw RingHistoryError(line: line, message: "\"\(word)\": there is no such member")
            }
            return
        }
        let joins = line == 0 || word.hasPrefix("+")
        guard let member = member(word.hasPrefix("+") ? word.dropFirst() : word[...]) else {
            throw RingHistoryError(
                line: line, message: "\"\(word)\": expected name, name=weight, name@zone or name=weight@zone")
        }
        guard (members[member.name] == nil) == joins else {
            let reason = joins ? "is a member already" : "is no member yet: \"+\(word)\" makes it one"
            throw RingHistoryError(line: line, message: "\"\(word)\": \(member.name) \(reason)")
        }
        members[member.name] = member
    }

    private static func member(_ word: Substring) -> RingMember? {
        let halves = word.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = halves[0].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let weight = parts.count == 2 ? Int(parts[1]) : 1
        guard !parts[0].isEmpty, let weight, (0...Ring.weightMax).contains(weight), halves.last != "" else {
            return nil
        }
        return RingMember(name: String(parts[0]), weight: weight, zone: halves.count == 2 ? String(halves[1]) : nil)
    }
}
