package import Cluster
import DequeModule
package import Logging
import Mail
package import NIOCore
import SMTP
package import Wire

/// How a process speaks with storage nodes, or with another site.
package struct NodeLinkSettings: Sendable {
    package var timeout: Duration
    /// How long an answer may usually take; after that another node is asked too.
    package var lagTimeout: Duration
    package var idleTimeout: Duration
    package var connectionsMax: Int
    package var reconnect: ReconnectBackoff
    package var session: LinkSession
    /// What is at the other end, for the log.
    package var peer: String

    package init(
        timeout: Duration, lagTimeout: Duration, idleTimeout: Duration, connectionsMax: Int,
        reconnect: ReconnectBackoff, session: LinkSession, peer: String = "storage node"
    ) {
        self.timeout = timeout
        self.lagTimeout = lagTimeout
        self.idleTimeout = idleTimeout
        self.connectionsMax = connectionsMax
        self.reconnect = reconnect
        self.session = session
        self.peer = peer
    }
}

/// The way from one event loop of a process to one storage node: shared connections, and the messages that wait for
/// one of them.
///
/// A message stays here until the node has answered for it or its time is over. When a connection breaks, its messages
/// go out again under their names, so a node that was killed and came back in time loses nobody's message.
package final class NodeLink {
    private let makeTarget: () -> DialTarget
    private let health: NodeHealth
    private let settings: NodeLinkSettings
    private let eventLoop: any EventLoop
    private let log: Logger
    private var connections: [NodeConnection] = []
    private var waiting: Deque<NodeTransaction> = []
    private var heldBytes = 0
    /// Connections that failed since one last came up.
    private var failures = 0
    private var lastEndpoint: Endpoint?
    private var pausedUntil: Scheduled<Void>?
    private var hasQuit = false
    private var isAbandoned = false
    private let deadlines: TransactionTimer
    private let lags: TransactionTimer

    /// Messages in flight on every open connection before another connection is worth its cost.
    private static let crowded = 8
    /// Message text that may be held for a node that does not take it, in octets.
    private static let heldBytesMax = 64 << 20

    /// - Parameter target: asked for each connection, because a reload may change the certificate.
    package init(
        target: @escaping () -> DialTarget, health: NodeHealth, settings: NodeLinkSettings, eventLoop: any EventLoop,
        log: Logger
    ) {
        makeTarget = target
        self.health = health
        self.settings = settings
        self.eventLoop = eventLoop
        self.log = log
        deadlines = TransactionTimer(timeout: settings.timeout, eventLoop: eventLoop) { $0.expire() }
        lags = TransactionTimer(timeout: settings.lagTimeout, eventLoop: eventLoop) { transaction in
            health.lagged()
            transaction.lag()
        }
    }

    package var target: DialTarget { makeTarget() }

    /// Whether it is worth a try: false while connections fail one after the other.
    package var isReachable: Bool { health.isReachable }

    /// Hands a message over; it is finished once, within the delivery timeout. The time of a large text begins when it is
    /// written: until then whoever takes nothing of it for so long has failed.
    package func submit(_ transaction: NodeTransaction) {
        let size = transaction.body.readableBytes
        guard heldBytes + size <= Self.heldBytesMax, !isAbandoned else { return transaction.finish(.unanswered) }
        heldBytes += size
        transaction.released = { [self] in heldBytes -= size }
        if transaction.large == nil { setTimes(transaction) }
        waiting.append(transaction)
        pump()
    }

    /// The delivery timeout begins, and the shorter time after which the transaction lags.
    func setTimes(_ transaction: NodeTransaction) {
        setDeadline(transaction)
        lags.add(transaction)
    }

    /// The delivery timeout of a transaction on another connection begins. What took long to send may take long to store too:
    /// it is no sign of a node that lags.
    package func setDeadline(_ transaction: NodeTransaction) { deadlines.add(transaction) }

    /// A connection broke under a message: it goes out again, before those that wait.
    func resubmit(_ transaction: NodeTransaction) {
        guard !transaction.isFinished else { return }
        if isAbandoned { return transaction.finish(.unanswered) }
        waiting.prepend(transaction)
    }

    /// Gives waiting messages to connections, and opens another if those are busy.
    func pump() {
        while let next = waiting.first {
            guard !next.isFinished else {
                waiting.removeFirst()
                continue
            }
            // A large text goes where nothing else is under way: the others' time would be over before its own.
            let loadMax = next.large == nil ? Int.max : 0
            let free = connections.lazy.filter { $0.hasRoom && $0.load <= loadMax }.min { $0.load < $1.load }
            if free.map({ $0.load >= Self.crowded }) ?? true { dial() }
            guard let free else { return }
            waiting.removeFirst()
            free.submit(next)
        }
    }

    private func dial() {
        guard pausedUntil == nil, connections.count(where: { !$0.isOver }) < settings.connectionsMax,
            !connections.contains(where: \.isConnecting)
        else { return }
        let target = target
        lastEndpoint = target.endpoint
        let connection = NodeConnection(link: self, session: settings.session, target: target)
        connections.append(connection)
        Dialer.connect(target, on: eventLoop, conversation: connection)
    }

    /// Where the last connection went, for the log.
    private var address: String { lastEndpoint.map { "\($0)" } ?? "" }

    /// The node has greeted.
    func ready(_ connection: Connection) {
        if failures > 0 { log.notice("\(settings.peer) is back", metadata: ["node": "\(address)"]) }
        failures = 0
        health.heard()
        setClock(connection, isBusy: false)
        pump()
    }

    /// How long a connection may be quiet: as long as an answer may take, or until it is not worth keeping.
    func setClock(_ connection: Connection, isBusy: Bool) {
        let idle = isBusy ? max(settings.timeout, settings.idleTimeout) : settings.idleTimeout
        connection.setTimes(ConnectionTimes(idle: idle, total: .zero))
    }

    /// Whether busy connections and others have different clocks.
    var isPatient: Bool { settings.timeout > settings.idleTimeout }

    /// The node has answered something.
    func heard() { health.heard() }

    func ended(_ connection: NodeConnection, _ reason: ConnectionEnd) {
        connections.removeAll { $0 === connection }
        if case .failed(let why) = reason { lost(why) }
        pump()
    }

    private func lost(_ why: String) {
        failures += 1
        health.failed(why)
        if health.isLost { giveUpWaiting() }
        if failures == 1 {
            log.warning("\(settings.peer) is lost", metadata: ["node": "\(address)", "reason": "\(why)"])
        }
        guard pausedUntil == nil, !hasQuit else { return }
        let delay = settings.reconnect.delay(failures: failures, random: .random(in: 0 ... .max))
        pausedUntil = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [self] in
            pausedUntil = nil
            // Recipients are refused while the node is unreachable: nobody else would find out that it is back.
            if failures > 0 { dial() }
            pump()
        }
    }

    /// A connection that is not this link's own did not come up, or broke, or had no answer in time.
    package func failedElsewhere(_ why: String) { lost(why) }

    /// The node was heard of elsewhere: there is no need to wait before the next attempt.
    package func knock() {
        guard let pause = pausedUntil else { return }
        pause.cancel()
        pausedUntil = nil
        dial()
        pump()
    }

    /// Nobody takes them here: their senders may find another node while there is time.
    private func giveUpWaiting() {
        let given = waiting
        waiting = []
        for transaction in given { transaction.finish(.unanswered) }
    }

    /// Messages that have no answer yet.
    package var load: Int { waiting.count + connections.reduce(0) { $0 + $1.load } }

    /// Nobody waits for answers any more: what has none is told so at once.
    package func abandon() {
        hasQuit = true
        isAbandoned = true
        pausedUntil?.cancel()
        for connection in connections { connection.fail("the process is about to end") }
        giveUpWaiting()
    }

    /// Nobody will submit anything more: says goodbye on every connection.
    package func quit() {
        hasQuit = true
        pausedUntil?.cancel()
        for connection in connections { connection.quit() }
    }
}
