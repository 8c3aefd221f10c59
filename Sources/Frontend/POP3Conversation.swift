import Cluster
import CoreMetrics
import Hops
import Logging
import Membership
import NIOCore
import POP3
import SASL
import Wire

/// Drives a client's POP3 session on a frontend up to its login; then joins the client with its storage node and is
/// done.
final class POP3Conversation: Conversation {
    private let frontend: FrontendContext
    private let listener: POP3ListenerSettings
    private var session: POP3ServerSession
    private var log: Logger
    private var waiting = Waiting.no
    /// A login that is being checked, perhaps after a delay; nobody waits for it once the client is gone.
    private var login: Task<Void, Never>?
    /// Whose SCRAM proof the session is checking.
    private var proving: String?

    private enum Waiting {
        case no
        /// For the directory or the node: nothing is read meanwhile.
        case answer
        case tls
    }

    init(frontend: FrontendContext, listener: POP3ListenerSettings, connection: Connection) {
        self.frontend = frontend
        self.listener = listener
        session = POP3ServerSession(
            settings: listener.session, nonce: frontend.identifiers.nonce(), seconds: frontend.clock.seconds())
        log = frontend.log
        log[metadataKey: "connection"] = "\(frontend.identifiers.connection())"
        log[metadataKey: "client"] = "\(connection.peer.address)"
        connection.setTimes(listener.times)
    }

    func opened(_ connection: Connection) {
        frontend.metrics.pop3Connections.increment()
        log.debug("connected", metadata: ["tls": "\(connection.isTLS)"])
        session.opened()
        run(connection)
    }

    func received(_ connection: Connection) { run(connection) }
    func writable(_ connection: Connection) { run(connection) }

    func tlsStarted(_ connection: Connection) {
        waiting = .no
        session.tlsStarted()
        run(connection)
    }

    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        session.timedOut()
        log.debug("timed out", metadata: ["clock": "\(timeout)"])
        connection.close()
    }

    /// Nobody has logged in: nothing is under way.
    func draining(_ connection: Connection) {
        session.timedOut()
        connection.close()
    }

    func closed(_ reason: ConnectionEnd) {
        login?.cancel()
        log.debug("closed", metadata: ["reason": "\(reason)"])
    }

    private func run(_ connection: Connection) {
        var goesOn = true
        while goesOn, waiting == .no, connection.isOpen, connection.isWritable {
            let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
            connection.consume(step.consumed)
            if step.consumed > 0 { connection.madeProgress() }
            goesOn = carryOut(step.action, connection)
        }
        if let user = proving, !session.isAuthenticating {
            proving = nil
            log.info("login refused", metadata: ["user": "\(user)"])
            frontend.login.failed(user, from: connection.peer.address)
        }
        connection.write(session.takeOutput())
        connection.flush()
        connection.wantsBytes = waiting != .answer && connection.isWritable
    }

    /// Does what the session says. False when it has nothing more to do for now.
    private func carryOut(_ action: POP3ServerSession.Action, _ connection: Connection) -> Bool {
        switch action {
        case .proceed:
            return true
        case .flushOutput:
            connection.write(session.takeOutput())
            connection.flush()
            return connection.isWritable
        case .needBytes:
            if connection.inputEnded { connection.close() }
            return false
        case .authenticate(let request):
            authenticate(request, connection)
        case .openMaildrop(let request):
            open(request, connection)
        case .startTLS:
            startTLS(connection)
        case .sendMessage, .deleteAndClose:
            preconditionFailure("a frontend's POP3 session opened no maildrop, but asks for \(action)")
        case .close:
            connection.write(session.takeOutput())
            connection.close()
            return false
        }
        return false
    }

    private func startTLS(_ connection: Connection) {
        guard let tls = frontend.serverTLS else { return connection.abort() }
        waiting = .tls
        connection.write(session.takeOutput())
        connection.startTLS(tls)
    }

    private func authenticate(_ request: AuthenticationRequest, _ connection: Connection) {
        waiting = .answer
        let address = connection.peer.address
        login = connection.perform { [login = frontend.login] in
            await login.answer(request, from: address)
        } then: { [self] answer in
            waiting = .no
            if case .rejected = answer { log.info("login refused", metadata: ["user": "\(request.user)"]) }
            if case .credentials = answer { proving = request.user }
            session.authenticationAnswered(answer)
            run(connection)
        }
    }

    private func open(_ request: POP3OpenRequest, _ connection: Connection) {
        waiting = .answer
        if let user = proving { frontend.login.succeeded(user) }
        proving = nil
        log[metadataKey: "mailbox"] = "\(request.mailbox)"
        open(request, at: frontend.owners(of: request.mailbox)[...], connection)
    }

    /// Every owner shows the same maildrop: the first that opens it serves the session.
    private func open(
        _ request: POP3OpenRequest, at owners: ArraySlice<Ring.NodeIndex>, _ connection: Connection
    ) {
        guard let owner = owners.first else { return failed(.unreachable("no owner"), connection) }
        let opening = MaildropOpening(request: request, timeout: frontend.answerTimeout) { [self] outcome in
            switch outcome {
            case .opened(let node, let text):
                frontend.health[Int(owner)].heard()
                join(connection, node, text: text)
            case .failed(let failure):
                frontend.health[Int(owner)].suspect()
                guard owners.count > 1, connection.isOpen else { return failed(failure, connection) }
                log.warning(
                    "another owner is asked",
                    metadata: ["node": "\(frontend.map[owner].name)", "reason": "\(failure)"])
                open(request, at: owners.dropFirst(), connection)
            }
        }
        Dialer.connect(frontend.pop3Target(owner), on: connection.eventLoop, conversation: opening)
    }

    private func join(_ connection: Connection, _ node: Connection, text: String) {
        guard connection.isOpen else { return node.abort() }
        waiting = .no
        log.info("maildrop opened")
        frontend.metrics.pop3Logins.increment()
        session.maildropOpened(text: text)
        connection.write(session.takeOutput())
        connection.flush()
        Relay.join(client: connection, server: node, times: listener.sessionTimes) { [log] in
            log.debug("session ended")
        }
    }

    private func failed(_ failure: MaildropOpening.Failure, _ connection: Connection) {
        waiting = .no
        log.warning("maildrop cannot be opened", metadata: ["reason": "\(failure)"])
        switch failure {
        case .unreachable:
            session.maildropFailed(.systemTemporary, "the mailbox cannot be reached now, try again later")
        case .refused(let code, let text): session.maildropFailed(code, text)
        }
        run(connection)
    }
}
