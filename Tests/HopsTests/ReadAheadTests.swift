import DequeModule
import NIOCore
import POP3
import SeededRandom
import Testing

@testable import Hops
@testable import Wire

/// Both ends of reading ahead with a real session between them, and a client that says whatever it likes.
@Suite("Answers ahead of their questions")
struct ReadAheadTests {
    private static func messages(_ count: Int, octets: Int = 100) -> [[UInt8]] {
        (1...count).map { number in
            let head = Array("Subject: \(number)\r\n\r\n.\(number)\r\n".utf8)
            return head + Array(repeating: UInt8(ascii: "x"), count: max(0, octets - head.count - 2)) + [13, 10]
        }
    }

    @Test("A client that retrieves one by one is answered without the node in the node's own words, DELE too")
    func inTurn() {
        var hop = Hop(Self.messages(40))
        var direct = Node(Self.messages(40))
        for number in 1...40 {
            for words in ["RETR \(number)\r\n", "dele \(number)\r\n"] {
                hop.say(words)
                hop.deliverAll()
                #expect(hop.takeHeard() == direct.answer(words))
            }
        }
        hop.say("QUIT\r\n")
        hop.deliverAll()
        #expect(hop.takeHeard() == direct.answer("QUIT\r\n"))
        #expect(hop.node.deleted == Array(0..<40))
        // The first two show that it retrieves in turn.
        #expect(hop.answeredHere == 2 * 38)
        #expect(hop.node.retrievals == 40)
    }

    @Test("Whatever a client says, and whenever, it hears what the node alone would say")
    func anything() async {
        var answeredHere = 0
        for seed in 0..<300 {
            // Other tests have the thread in between.
            await Task.yield()
            var random = SplitMix(seed: UInt64(seed))
            let messages = (1...Int.random(in: 1...30, using: &random)).flatMap { _ in
                Self.messages(
                    1, octets: [40, 40, 300, 300, 300, 2000, 2000, 9000, 60_000].randomElement(using: &random) ?? 0)
            }
            let script = Self.script(messages.count, &random)
            var direct = Node(messages)
            let expected = script.map { direct.answer($0.words) }
            var hop = Hop(messages)
            var said = 0
            var heard = 0
            while said < script.count || hop.isBusy {
                let mayTalk = said < script.count && (!script[said].waits || hop.heard.count >= heard)
                switch Int.random(in: 0..<10, using: &random) {
                case 0...3 where mayTalk:
                    hop.say(script[said].words)
                    heard += expected[said].count
                    said += 1
                case 4: hop.now = hop.now + .milliseconds(Int64.random(in: 0...600, using: &random))
                case 5...7: hop.deliverToNode()
                default:
                    // Mostly what was sent together comes together.
                    for _ in 0..<Int.random(in: 1...12, using: &random) { hop.deliverToFrontend() }
                }
                #expect(hop.octetsAhead <= AnswersAhead.octetsMax && hop.countAhead <= AnswersAhead.countMax)
            }
            let isRight = hop.heard == Array(expected.joined()) && hop.node.deleted == direct.deleted
            #expect(isRight, "seed \(seed): \(script.map(\.words))")
            #expect(hop.violation == nil, "seed \(seed)")
            guard isRight else { return }
            answeredHere += hop.answeredHere
        }
        #expect(answeredHere > 1000)
    }

    private struct Words {
        let words: String
        /// For the answers to all that was said before.
        let waits: Bool
    }

    private static func script(_ count: Int, _ random: inout SplitMix) -> [Words] {
        var script: [Words] = []
        var number = Int.random(in: 0...1, using: &random)
        let patience = Int.random(in: 4...12, using: &random)
        let whims = Int.random(in: 26...40, using: &random)
        for _ in 0..<Int.random(in: 1...80, using: &random) {
            let any = Int.random(in: 0...(count + 1), using: &random)
            var words: String
            switch Int.random(in: 0..<whims, using: &random) {
            case 0...18:
                number += 1
                words = "RETR \(number)\r\n"
            case 19...25: words = "DELE \(number)\r\n"
            case 26...28: words = "DELE \(any)\r\n"
            case 29...32:
                number = any
                words = "RETR \(any)\r\n"
            case 33: words = "RSET\r\n"
            case 34: words = "LAST\r\n"
            case 35: words = "NOOP\r\nRETR \(number + 1)\r\n"
            case 36: words = "TOP \(any) 1\r\n"
            case 37: words = "STAT\r\n"
            case 38: words = "RETR  \(number)\r\n"
            default: words = "rEtR 0\(number)\r\n"
            }
            // Lines that come in pieces.
            if Int.random(in: 0..<30, using: &random) == 0 {
                script.append(Words(words: String(words.prefix(3)), waits: true))
                words = String(words.dropFirst(3))
            }
            script.append(Words(words: words, waits: Int.random(in: 0..<12, using: &random) < patience))
        }
        if Bool.random(using: &random) { script.append(Words(words: "QUIT\r\n", waits: Bool.random(using: &random))) }
        return script
    }

    @Test("What was ahead too long is not given, nor what a client's DELE or RSET has overtaken")
    func stale() {
        var ahead = AnswersAhead()
        let start = NIODeadline.now()
        _ = ahead.forward(ByteBuffer(string: "RETR 1\r\n"))
        func note(_ number: UInt32, heard: UInt32) -> ByteBuffer {
            var note = ByteBuffer()
            AnswerNote.begin(heard: heard, number: number, in: &note)
            note.writeString("answer \(number)")
            return note
        }
        #expect(ahead.take(note(2, heard: 8), at: start) == nil)
        #expect(ahead.take(note(3, heard: 8), at: start + .milliseconds(800)) == nil)
        #expect(ahead.answer(to: ByteBuffer(string: "RETR 2\r\n"), at: start + .milliseconds(1001)) == nil)
        #expect(ahead.answer(to: ByteBuffer(string: "RETR 3\r\n"), at: start + .milliseconds(1001)) != nil)
        #expect(ahead.isEmpty)
        // The node had not heard of this when it answered.
        #expect(ahead.forward(ByteBuffer(string: "DELE 4\r\n")) == ByteBuffer(bytes: [1, 0, 0, 0, 3]))
        #expect(ahead.take(note(4, heard: 8), at: start) == nil)
        #expect(ahead.isEmpty && !ahead.isSettled)
        #expect(ahead.take(note(5, heard: 16), at: start) == nil)
        #expect(ahead.isSettled && !ahead.isEmpty)
        #expect(ahead.forward(ByteBuffer(string: "RSET\r\n")) == nil)
        #expect(ahead.isEmpty)
    }

    @Test("All that may be ahead fits into one note, however long a message is")
    func longestAnswer() {
        #expect(AnswersAhead.octetsMax + AnswerNote.headBytes <= StreamFrame.noteBytesMax)
    }

    @Test("A node that sends more ahead than it may, or what is no note, is told apart")
    func violations() {
        for bytes: [UInt8] in [[], [0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 1]] {
            var ahead = AnswersAhead()
            #expect(ahead.take(ByteBuffer(bytes: bytes), at: .now()) != nil)
        }
        var ahead = AnswersAhead()
        var note = ByteBuffer()
        AnswerNote.begin(heard: 0, number: 1, in: &note)
        note.writeRepeatingByte(1, count: AnswersAhead.octetsMax)
        #expect(ahead.take(note, at: .now()) == nil)
        for bytes: [UInt8] in [[1], [1, 0, 0, 0], [3, 0, 0, 0, 1], [1, 0, 0, 0, 1, 2]] {
            #expect(Deed.all(in: ByteBuffer(bytes: bytes)) == nil)
        }
        #expect(Deed.all(in: ByteBuffer(bytes: [2, 0, 0, 0, 1, 1, 0, 0, 1, 0])) == [.deleted(1), .retrieved(256)])
    }
}

/// A node's session and what it sends ahead.
private struct Node {
    private var session: POP3ServerSession
    private let messages: [[UInt8]]
    private(set) var window = AheadWindow()
    private var unread: [UInt8] = []
    private(set) var deleted: [Int] = []
    private(set) var retrievals = 0
    private(set) var isClosed = false

    init(_ messages: [[UInt8]]) {
        self.messages = messages
        session = POP3ServerSession(
            settings: POP3ServerSettings(hostname: "mail.example.test", service: .node), nonce: "", seconds: 0)
        session.opened()
        unread = Array("XOPEN a@example.test AHEAD\r\n".utf8)
        _ = run()
        window = AheadWindow()
    }

    /// Everything that it says to these words.
    mutating func answer(_ words: String) -> [UInt8] {
        unread += Array(words.utf8)
        return run()
    }

    mutating func hear(_ words: ByteBuffer) -> [UInt8] {
        unread += words.readableBytesView
        return run()
    }

    private mutating func run() -> [UInt8] {
        var output: [UInt8] = []
        while !isClosed {
            let step = unread.withUnsafeBytes { session.receive($0) }
            unread.removeFirst(step.consumed)
            window.heard &+= UInt32(step.consumed)
            switch step.action {
            case .needBytes: return output + session.takeOutput()
            case .openMaildrop:
                session.maildropOpened(messages.enumerated().map { MaildropEntry(uidl: "\($0)", octets: $1.count) })
            case .sendMessage(let index, let topLines):
                window.asked(index, next: session.nextRetrieval)
                session.messageFound(octets: messages[index].count)
                output += session.takeOutput() + encoded(index, topLines)
                session.messageSent()
                if topLines == nil { retrievals += 1 }
            case .deleteAndClose(let positions):
                deleted = positions
                session.deleted(failures: 0)
            case .close: isClosed = true
            default: break
            }
        }
        return output + session.takeOutput()
    }

    private func encoded(_ index: Int, _ topLines: Int?) -> [UInt8] {
        var encoder = POP3MessageEncoder(topLines: topLines)
        var output = [UInt8](repeating: 0, count: 2 * messages[index].count + POP3MessageEncoder.finishBytesMax)
        let count = output.withUnsafeMutableBytes { output in
            let count = messages[index].withUnsafeBytes { encoder.encode($0, into: output) }
            return count + encoder.finish(into: UnsafeMutableRawBufferPointer(rebasing: output[count...]))
        }
        return Array(output[..<count])
    }

    mutating func take(_ note: ByteBuffer) -> Bool {
        guard let deeds = Deed.all(in: note) else { return false }
        return deeds.allSatisfy { deed in
            switch deed {
            case .retrieved(let number):
                retrievals += 1
                window.given(through: Int(number) - 1)
                return session.retrievedAhead(Int(number))
            case .deleted(let number): return session.deletedAhead(Int(number))
            }
        }
    }

    /// The notes that it sends now.
    mutating func readAhead() -> [ByteBuffer] {
        guard !isClosed else { return [] }
        var notes: [ByteBuffer] = []
        window.turn(to: session.retrievalTurns, next: session.nextRetrieval)
        while let position = window.next, messages[position].count + 100 < window.room {
            let answer = POP3Answers.retrieval(octets: messages[position].count) + encoded(position, nil)
            var note = ByteBuffer()
            AnswerNote.begin(heard: window.heard, number: UInt32(position + 1), in: &note)
            note.writeBytes(answer)
            notes.append(note)
            window.sent(position, octets: answer.count, next: session.firstKept(from: position + 1))
        }
        if window.owesWord {
            window.gaveWord()
            var note = ByteBuffer()
            AnswerNote.begin(heard: window.heard, in: &note)
            notes.append(note)
        }
        return notes
    }
}

/// A client's session through a frontend; what is said on the hop waits until it is delivered.
private struct Hop {
    private enum Item {
        case data(ByteBuffer)
        case note(ByteBuffer)
    }

    private(set) var node: Node
    private var ahead = AnswersAhead()
    private var toNode: Deque<Item> = []
    private var toFrontend: Deque<Item> = []
    private(set) var heard: [UInt8] = []
    private(set) var answeredHere = 0
    private(set) var violation: String?
    var now = NIODeadline.now()

    init(_ messages: [[UInt8]]) { node = Node(messages) }

    var isBusy: Bool { !toNode.isEmpty || !toFrontend.isEmpty }
    var octetsAhead: Int { ahead.octets }
    var countAhead: Int { ahead.count }

    mutating func takeHeard() -> [UInt8] {
        defer { heard = [] }
        return heard
    }

    mutating func say(_ words: String) {
        let words = ByteBuffer(string: words)
        if ahead.isSettled, let answer = ahead.answer(to: words, at: now) {
            answeredHere += 1
            heard += answer.readableBytesView
            if let note = ahead.dueNote() { toNode.append(.note(note)) }
        } else {
            if let note = ahead.forward(words) { toNode.append(.note(note)) }
            toNode.append(.data(words))
        }
    }

    mutating func deliverToNode() {
        switch toNode.popFirst() {
        case .data(let words):
            let answer = node.hear(words)
            if !answer.isEmpty { toFrontend.append(.data(ByteBuffer(bytes: answer))) }
        case .note(let note): if !node.take(note) { violation = "the node does not know a deed" }
        case nil: return
        }
        toFrontend.append(contentsOf: node.readAhead().map(Item.note))
    }

    mutating func deliverToFrontend() {
        switch toFrontend.popFirst() {
        case .data(let answer): heard += answer.readableBytesView
        case .note(let note): violation = violation ?? ahead.take(note, at: now)
        case nil: return
        }
    }

    mutating func deliverAll() {
        while isBusy {
            deliverToNode()
            deliverToFrontend()
        }
    }
}
