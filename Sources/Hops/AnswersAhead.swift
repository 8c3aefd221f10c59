import DequeModule
import NIOCore
import POP3

/// The frontend's part of reading ahead: answers that a node sent before the client asked, given to a client that
/// retrieves its messages one by one. So each of its questions costs it one way to the frontend, and the hop carries
/// several messages at once.
///
/// An answer is given only where the node would give the same: while it has answered all that the client said, and the
/// client has since said nothing but what was expected. Everything else goes to the node, behind a note of what was
/// answered here. Pure.
struct AnswersAhead {
    /// What may be ahead in one session, in octets of answers.
    static let octetsMax = 48 << 10
    /// How many answers may be.
    static let countMax = 32
    /// How long an answer is good: another session may have removed the message meanwhile.
    static let lifetime = Duration.seconds(1)
    /// So many octets given, or so many deeds, are told at once, so that more can come while the client takes the rest.
    private static let untoldMax = octetsMax / 2
    private static let untoldDeedsMax = countMax / 2

    private struct Answer {
        let number: UInt32
        let bytes: ByteBuffer
        let came: NIODeadline
    }

    private var answers: Deque<Answer> = []
    private(set) var octets = 0
    /// What of the client's words the node was given, in octets modulo 2^32, and how much of it it has answered.
    private var forwarded: UInt32 = 0
    private var answered: UInt32?
    private var isAtLineStart = true
    /// Answers that were made before the node had heard so much may be right no more.
    private var valid: UInt32 = 0
    /// The last message retrieved, while that goes in turn.
    private var lastRetrieved: UInt32?
    /// The last message given from here, until the client does something else with it.
    private var lastGiven: UInt32?
    private var deeds = ByteBuffer()
    private var untold = 0

    var isEmpty: Bool { answers.isEmpty }
    var count: Int { answers.count }

    /// Whether a client's words may be answered here at all, if all that the node said has gone to the client.
    var isSettled: Bool { isAtLineStart && answered == forwarded }

    /// The node says something beside the session.
    /// - Returns: what is wrong with it, if anything is.
    mutating func take(_ note: ByteBuffer, at now: NIODeadline) -> String? {
        guard let note = AnswerNote(note) else { return "a note of no known form" }
        answered = note.heard
        guard note.number > max(lastRetrieved ?? 0, answers.last?.number ?? 0) else { return nil }
        guard Int32(bitPattern: note.heard &- valid) >= 0 else { return nil }
        // Where the node has dropped what is still here, there may be no room.
        guard answers.count < Self.countMax, octets + note.answer.readableBytes <= Self.octetsMax else { return nil }
        octets += note.answer.readableBytes
        answers.append(Answer(number: note.number, bytes: note.answer, came: now))
        return nil
    }

    /// The answer to all that the client has said and nobody has heard yet, if it is here. Only while `isSettled`.
    mutating func answer(to unread: ByteBuffer, at now: NIODeadline) -> ByteBuffer? {
        switch Question(unread) {
        case .retrieve(let number):
            dropStale(at: now)
            drop { $0.number < number }
            guard let first = answers.first, first.number == number else { return nil }
            drop { $0.number == number }
            untold += first.bytes.readableBytes
            lastRetrieved = number
            lastGiven = number
            Deed.retrieved(number).write(to: &deeds)
            return first.bytes
        case .delete(let number):
            guard number == lastGiven else { return nil }
            lastGiven = nil
            Deed.deleted(number).write(to: &deeds)
            return ByteBuffer(bytes: POP3Answers.deletion(Int(number)))
        case nil:
            return nil
        }
    }

    /// The note to send now, if there is so much to tell that the node should make more ready.
    mutating func dueNote() -> ByteBuffer? {
        let isDue = untold >= Self.untoldMax || deeds.readableBytes >= Self.untoldDeedsMax * Deed.bytes
        return isDue || untold > 0 && answers.isEmpty ? takeNote() : nil
    }

    /// What the client says goes to the node.
    /// - Returns: the note that goes before it, if there is anything to tell.
    mutating func forward(_ bytes: ByteBuffer) -> ByteBuffer? {
        lastGiven = nil
        forwarded &+= UInt32(truncatingIfNeeded: bytes.readableBytes)
        switch isAtLineStart ? Question(bytes) : nil {
        case .retrieve(let number)? where number == lastRetrieved.map { $0 + 1 }:
            // The client was faster. What is behind it is on its way, and as true as it was.
            drop { $0.number <= number }
            lastRetrieved = number
        case .delete(let number)? where number <= lastRetrieved ?? 0:
            break
        case .retrieve(let number)?:
            dropAll()
            lastRetrieved = number
        case .delete?, nil:
            dropAll()
            lastRetrieved = nil
        }
        isAtLineStart = bytes.readableBytesView.last == UInt8(ascii: "\n")
        return takeNote()
    }

    mutating func dropStale(at now: NIODeadline) {
        drop { now - $0.came > TimeAmount(Self.lifetime) }
        // An idle session keeps no memory for them.
        if answers.isEmpty { answers = [] }
    }

    /// Drops the first answers for as long as they are such.
    private mutating func drop(_ isSuch: (Answer) -> Bool) {
        while let first = answers.first, isSuch(first) {
            answers.removeFirst()
            octets -= first.bytes.readableBytes
        }
    }

    /// What is here, and what the node made before it hears all that was said, may be right no more.
    private mutating func dropAll() {
        answers = []
        octets = 0
        valid = forwarded
    }

    private mutating func takeNote() -> ByteBuffer? {
        guard deeds.readableBytes > 0 else { return nil }
        defer {
            deeds = ByteBuffer()
            untold = 0
        }
        return deeds
    }
}

/// A whole line that says nothing but `RETR number` or `DELE number`: what is written in any other way is the node's to
/// read.
private enum Question {
    case retrieve(UInt32)
    case delete(UInt32)

    init?(_ line: ByteBuffer) {
        guard 8...16 ~= line.readableBytes else { return nil }
        let question = line.withUnsafeReadableBytes { bytes -> Question? in
            guard bytes[bytes.count - 2] == UInt8(ascii: "\r"), bytes[bytes.count - 1] == UInt8(ascii: "\n"),
                bytes[4] == UInt8(ascii: " "), let number = Self.number(bytes[5..<(bytes.count - 2)])
            else { return nil }
            switch bytes.loadUnaligned(as: UInt32.self) & Self.upperCase {
            case Self.retr: return .retrieve(number)
            case Self.dele: return .delete(number)
            default: return nil
            }
        }
        guard let question else { return nil }
        self = question
    }

    private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> UInt32? {
        // Nine digits at most: no overflow.
        var number: UInt32 = 0
        for digit in digits {
            guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= digit else { return nil }
            number = number * 10 + UInt32(digit - UInt8(ascii: "0"))
        }
        return number
    }

    private static let upperCase: UInt32 = 0xDFDF_DFDF
    private static let retr = word("RETR")
    private static let dele = word("DELE")

    private static func word(_ text: StaticString) -> UInt32 {
        UnsafeRawPointer(text.utf8Start).loadUnaligned(as: UInt32.self)
    }
}
