/// The steady view that one session has of a mailbox: its messages by number, and which are marked as deleted.
///
/// The entries are shared with whoever made the listing; a session owns only its marks.
struct Maildrop: Sendable {
    let entries: any MaildropEntries
    /// One bit per message; empty while nothing is marked.
    private var marks: [UInt64] = []
    private(set) var count: Int
    private(set) var octets: Int
    private let allOctets: Int
    /// The highest message number retrieved or marked (RFC 1460 §5, LAST).
    private(set) var lastAccessed = 0

    init(_ entries: any MaildropEntries) {
        self.entries = entries
        count = entries.count
        allOctets = entries.octets
        octets = allOctets
    }

    /// The position of message `number`, 1 to n. Nil outside that; any number may be asked for.
    func position(_ number: Int) -> Int? {
        number >= 1 && number <= entries.count ? number - 1 : nil
    }

    func isDeleted(_ position: Int) -> Bool {
        !marks.isEmpty && marks[position >> 6] & (1 << UInt64(position & 63)) != 0
    }

    /// The first message at or behind `position` that is not marked. Skips 64 marked ones at a time: a client that
    /// marked 100,000 messages and lists them again and again must not keep the server busy.
    func firstKept(from position: Int) -> Int? {
        var position = position
        while position < entries.count {
            if position & 63 == 0, !marks.isEmpty, marks[position >> 6] == .max {
                position += 64
            } else if isDeleted(position) {
                position += 1
            } else {
                return position
            }
        }
        return nil
    }

    mutating func delete(_ position: Int) {
        guard !isDeleted(position) else { return }
        if marks.isEmpty { marks = [UInt64](repeating: 0, count: (entries.count + 63) >> 6) }
        marks[position >> 6] |= 1 << UInt64(position & 63)
        count -= 1
        octets &-= entries.octets(at: position)
        access(position)
    }

    mutating func access(_ position: Int) {
        lastAccessed = max(lastAccessed, position + 1)
    }

    mutating func reset() {
        marks = []
        count = entries.count
        octets = allOctets
        lastAccessed = 0
    }

    /// The positions of all messages marked as deleted, ascending.
    var deleted: [Int] {
        marks.isEmpty ? [] : (0..<entries.count).filter(isDeleted)
    }
}
