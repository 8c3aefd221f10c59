import NIOCore
import POP3
import Wire

/// Drives one `POP3ClientSession` through its script over one connection.
final class POP3LoadConnection: Conversation {
    private let loop: POP3LoadLoop
    private let user: String
    private let intended: NIODeadline
    private var session = POP3ClientSession()
    private var script: POP3Script
    private var message: [UInt8] = []
    private var messages = 0
    private var octets = 0
    private var retrieveBegan = NIODeadline.now()
    private var isDone = false
    private var violation: String?

    init(loop: POP3LoadLoop, number: Int, intended: NIODeadline) {
        let load = loop.load
        self.loop = loop
        self.intended = intended
        user = load.users[number]
        script = POP3Script(
            task: load.task, user: user, password: load.passwords[number % load.users.count], pipelines: load.pipelines)
    }

    func opened(_ connection: Connection) {
        connection.setTimes(ConnectionTimes(idle: loop.load.target.timeout, total: .zero))
    }

    func received(_ connection: Connection) {
        connection.madeProgress()
        var at = 0
        let unread = connection.unread
        let isOver = unread.withUnsafeReadableBytes { bytes in
            while true {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[at...])
                let step = session.receive(rest)
                at += step.consumed
                if step.event == .needBytes { return false }
                if take(step.event, rest) { return true }
            }
        }
        connection.consume(at)
        connection.write(session.takeOutput())
        connection.flush()
        if isOver || connection.inputEnded { connection.close() }
    }

    /// - Returns: whether the conversation is over.
    private func take(_ event: POP3ClientSession.Event, _ bytes: UnsafeRawBufferPointer) -> Bool {
        switch event {
        case .needBytes, .line:
            break
        case .greeting(let reply):
            say(script.greeted(reply.isOK, reply.text))
            return !reply.isOK
        case .reply(let command, let reply):
            if command.isMultiLine, reply.isOK { break }
            return answered(command, reply)
        case .body(let range):
            if loop.found != nil { message.append(contentsOf: bytes[range]) }
        case .end(let command, let size):
            ended(command, size)
        case .violation(let text):
            violation = text
            return true
        }
        return false
    }

    private func answered(_ command: POP3ClientCommand, _ reply: POP3Reply) -> Bool {
        let wasLoggedIn = script.isLoggedIn
        say(script.answered(command, isOK: reply.isOK, numbers: reply.numbers, code: reply.code?.rawValue))
        if script.isLoggedIn, !wasLoggedIn {
            let now = NIODeadline.now()
            loop.tally.change { $0.loginLatency.record(.nanoseconds((now - intended).nanoseconds)) }
        }
        isDone = command == .quit && reply.isOK
        return command == .quit
    }

    private func ended(_ command: POP3ClientCommand, _ size: Int) {
        if case .retr = command { retrieved(size) }
        say(script.answered(command, isOK: true, numbers: [], code: nil))
    }

    private func retrieved(_ size: Int) {
        messages += 1
        octets += size
        if !loop.load.pipelines {
            let now = NIODeadline.now()
            loop.tally.change { $0.retrieveLatency.record(.nanoseconds((now - retrieveBegan).nanoseconds)) }
        }
        guard let found = loop.found else { return }
        found(user, message)
        message.removeAll(keepingCapacity: true)
    }

    private func say(_ commands: [POP3ClientCommand]) {
        for command in commands {
            if case .retr = command { retrieveBegan = .now() }
            session.send(command)
        }
    }

    func draining(_ connection: Connection) {}
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) { connection.abort() }

    func closed(_ reason: ConnectionEnd) {
        if case .failed(let text) = reason, !isDone { loop.tally.change { $0.connectionTrouble = text } }
        let error = script.refusal ?? violation.map { _ in "violation" } ?? (isDone ? nil : "connection lost")
        loop.tally.ended(error: error, intended: intended, messages: messages, octets: octets)
        loop.closed()
    }
}
