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
    /// The login whose SCRAM proof the session will check.
    private var proving: LoginAttempt?
    /// The connection's whole time is over, and the client has its answer yet to come.
    private var overdue = false

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
            settings: listener.session, nonce: frontend.identifiers.nonce(), seconds: frontend.clock.seconds(),
            challenges: frontend.identifiers.challenges(
                for: listener.session.mechanisms, hostname: listener.session.hostname))
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
        // While the client waits for us, its clock stands still.
        if waiting == .answer {
            if timeout == .total { overdue = true }
            return
        }
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
        proving = nil
        log.debug("closed", metadata: ["reason": "\(reason)"])
    }

    private func run(_ connection: Connection) {
        var goesOn = true
        while goesOn, waiting == .no, connection.isOpen, connection.isWritable {
            let step = connection.unread.withUnsafeReadableBytes { session.receive($0) }
            connection.consume(step.consumed)
            // The rest of an overlong line is dropped as it comes, and leads to nothing.
            if step.consumed > 0, step.action != .needBytes { connection.madeProgress() }
            goesOn = carryOut(step.action, connection)
        }
        if !session.isAuthenticating { proving = nil }
        connection.write(session.takeOutput())
        if overdue, waiting == .no { return connection.close() }
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
        case .proofChecked(let proof):
            proofChecked(proof)
            return true
        case .authenticate(let request):
            return authenticate(request, connection)
        case .openMaildrop(let request):
            open(request, connection)
        case .startTLS:
            startTLS(connection)
        case .sendMessage, .deleteAndClose, .digest, .drain, .relayed, .flush, .status, .listPartition, .repair, .order,
            .beginStreams, .listTombstones, .readTombstone:
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

    /// True if it is answered already.
    private func authenticate(_ request: AuthenticationRequest, _ connection: Connection) -> Bool {
        let address = connection.peer.address
        if let reply = frontend.login.answerNow(request, from: address) {
            take(reply, to: request)
            return true
        }
        waiting = .answer
        login = connection.perform { [login = frontend.login] in
            await login.answer(request, from: address)
        } then: { [self] reply in
            answered(connection)
            take(reply, to: request)
            run(connection)
        }
        return false
    }

    private func take(_ reply: LoginAnswer, to request: AuthenticationRequest) {
        if case .rejected = reply.answer { log.info("login refused", metadata: ["user": "\(request.user)"]) }
        proving = reply.attempt
        session.authenticationAnswered(reply.answer, nonce: frontend.identifiers.nonce())
    }

    private func proofChecked(_ proof: SASLProof) {
        proving?.end(proof.isRight ? .right : .wrong)
        proving = nil
        if !proof.isRight { log.info("login refused", metadata: ["user": "\(proof.user)"]) }
    }

    /// The client may speak again, and has its whole idle time for it.
    private func answered(_ connection: Connection) {
        waiting = .no
        connection.madeProgress()
    }

    private func open(_ request: POP3OpenRequest, _ connection: Connection) {
        waiting = .answer
        log[metadataKey: "mailbox"] = "\(request.mailbox)"
        let deadline = frontend.clock.monotonic() + frontend.answerTimeout
        let routes = frontend.routes
        open(request, at: routes.owners(of: request.mailbox)[...], of: routes, until: deadline, connection)
    }

    /// Every owner shows the same maildrop: the first that opens it serves the session. They share what is left of the
    /// time, so that one that hangs leaves some to the next.
    ///
    /// - Parameter isRepeated: whether the first of them has been asked before.
    private func open(
        _ request: POP3OpenRequest, at owners: ArraySlice<Ring.NodeIndex>, of routes: NodeRoutes,
        until deadline: Duration, isRepeated: Bool = false, _ connection: Connection
    ) {
        guard let owner = owners.first else { return failed(.unreachable("no owner"), connection) }
        let share = (deadline - frontend.clock.monotonic()) / owners.count
        guard share > .zero else { return failed(.unreachable("no owner answered in time"), connection) }
        var way: SessionLink.Way?
        let opening = MaildropOpening(
            request: request, greetingTimeout: min(routes.connectTimeout, share), timeout: share
        ) { [self] outcome in
            switch outcome {
            case .opened(let node, let text):
                routes.health(of: owner).heard()
                join(connection, node, text: text)
            case .failed(.lost) where way?.isFresh == false && !isRepeated && connection.isOpen:
                // The connection was older than the session: that says nothing of the node.
                way?.distrust()
                open(request, at: owners, of: routes, until: deadline, isRepeated: true, connection)
            case .failed(let failure):
                routes.health(of: owner).suspect()
                if case .silent = failure { way?.distrust() }
                guard owners.count > 1, connection.isOpen else { return failed(failure, connection) }
                log.warning(
                    "another owner is asked",
                    metadata: ["node": "\(routes.map[owner].name)", "reason": "\(failure)"])
                open(request, at: owners.dropFirst(), of: routes, until: deadline, connection)
            }
        }
        way = routes.sessionLink(to: owner, from: connection.eventLoop).open(opening)
    }

    private func join(_ connection: Connection, _ node: Connection, text: String) {
        guard connection.isOpen else { return node.abort() }
        waiting = .no
        log.info("maildrop opened")
        frontend.metrics.pop3Logins.increment()
        session.maildropOpened(text: text)
        connection.write(session.takeOutput())
        connection.flush()
        let ahead = ReadAheadShortcut { [metrics = frontend.metrics] in
            metrics.answeredAhead.increment()
        } broke: { [log] why in
            log.warning("the node broke the rules of reading ahead", metadata: ["reason": "\(why)"])
        }
        Relay.join(client: connection, server: node, times: listener.sessionTimes, shortcut: ahead) { [log] in
            log.debug("session ended")
        }
    }

    private func failed(_ failure: MaildropOpening.Failure, _ connection: Connection) {
        answered(connection)
        log.warning("maildrop cannot be opened", metadata: ["reason": "\(failure)"])
        switch failure {
        case .unreachable, .lost, .silent:
            session.maildropFailed(.systemTemporary, "the mailbox cannot be reached now, try again later")
        case .refused(let code, let text): session.maildropFailed(code, text)
        }
        run(connection)
    }
}
