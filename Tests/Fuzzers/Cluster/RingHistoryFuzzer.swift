import Cluster

/// A ring's history from any lines: what is taken has members in every epoch, each once and in order, and is written as
/// lines that give it again.
func fuzzRingHistory(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard let history = try? RingHistory(lines: lines) else { return }
    precondition(history.memberships.count == lines.count, "\(lines.count) lines, \(history.memberships.count) epochs")
    for members in history.memberships {
        precondition(!members.isEmpty, "an epoch without members")
        precondition(zip(members, members.dropFirst()).allSatisfy { $0.name < $1.name }, "members out of order")
        precondition(members.allSatisfy { (0...Ring.weightMax).contains($0.weight) && $0.zone != "" }, "an odd member")
    }
    // Other names are refused where a configuration is read, and so is an epoch that changes nothing.
    let changes = zip(history.memberships, history.memberships.dropFirst()).allSatisfy { $0 != $1 }
    guard changes, history.memberships.joined().allSatisfy({ isName($0.name) && isName($0.zone ?? "z") }) else {
        return
    }
    precondition((try? RingHistory(lines: history.lines)) == history, "\(lines) came back as \(history.lines)")
}

private func isName(_ text: String) -> Bool {
    text.utf8.first != UInt8(ascii: "-")
        && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "._-".utf8.contains(byte)
            }
        }
}
