import Bounces
import Cluster
import CoreMetrics
import Glibc
import Hops
import Logging
import Mail
import Maildirs
import Membership
import NIOCore

/// Sends what waits in a relay's queues to its server.
///
/// A queue is a mailbox, and its first owner that is there sends what is in it: it takes the message from its own copy, and
/// deletes it, as a POP3 session would, when the server has said 250. So every owner knows what was sent, and none sends it
/// again; only what was under way when a node died or stood still may go out twice. A message whose sender has been told that it failed is
/// deleted in the same way. Nothing else is stored: when a message is tried again depends on its age alone.
actor RelayDrain {
    nonisolated let settings: RelaySettings
    private let queues: RelayQueues
    /// Nil for a server that comes and fetches its mail.
    private let carrier: (any RelayCarrier)?
    private let bouncer: RelayBouncer
    private let inbox: RelayInbox
    private let log: Logger
    private let metrics: StorageMetrics
    private var schedule: SpoolSchedule
    private var flight: FlightWindow
    private var rate: SendingRate
    private var tasks: [UInt64: Task<Void, Never>] = [:]
    private var lastID: UInt64 = 0
    private var notices: [Notice] = []
    private var succeeded: Int64?
    private var lastRefusal: String?
    private let clock = ContinuousClock()
    private let start = ContinuousClock.now
    private var standstill = StandstillWatch(now: .zero)
    /// Of these everything that waits has been looked at anew.
    private var standstillsHeeded = 0

    /// A sender who is to be told of a failure, when that could not be done at once.
    private struct Notice {
        let entry: SpoolEntry
        let verdict: Verdict
        let server: String?
        let due: Int64
    }

    private static let noticesMax = 10_000
    private static let noticeDelay: Int64 = 60
    private static let year: Int64 = 365 * 86_400
    /// How long another owner has to stop when this node comes back, or goes on.
    private static let handover = Duration.seconds(3)

    init(
        _ settings: RelaySettings, queues: RelayQueues, carrier: (any RelayCarrier)?, bouncer: RelayBouncer,
        inbox: RelayInbox, metrics: StorageMetrics, log: Logger
    ) {
        self.settings = settings
        self.queues = queues
        self.carrier = carrier
        self.bouncer = bouncer
        self.inbox = inbox
        self.metrics = metrics
        self.log = log
        schedule = SpoolSchedule(Self.schedule(settings))
        flight = FlightWindow(transactionsMax: settings.inFlightMax)
        rate = SendingRate(
            messagesPerSecond: Double(settings.messageRate), bytesPerSecond: Double(settings.rate))
    }

    /// A link that is used on request is one that is down until somebody asks: meanwhile messages only grow old.
    private static func schedule(_ settings: RelaySettings) -> SpoolSettings {
        var spool = SpoolSettings(lifetime: settings.lifetime.components.seconds)
        switch settings.trigger {
        case .scheduled: spool.trigger = .every(settings.interval.components.seconds)
        case .atOnce where !settings.addresses.isEmpty: break
        case .atOnce, .onRequest: spool.reconnect = ReconnectBackoff(first: .seconds(year), max: .seconds(year))
        }
        return spool
    }

    private var isOnRequest: Bool { settings.trigger == .onRequest || settings.addresses.isEmpty }
    private var now: Int64 { Int64(time(nil)) }

    // MARK: the loop

    /// Runs until it is cancelled, and until what was under way then has its outcome.
    func run() async {
        if isOnRequest { rest() }
        let watching = Task { await watchForStandstills() }
        defer { watching.cancel() }
        if queues.areShared { try? await Task.sleep(for: Self.handover) }
        while !Task.isCancelled {
            takeArrivals()
            retryNotices()
            guard flight.room > 0, tasks.count < settings.inFlightMax, notices.count < Self.noticesMax else {
                await inbox.wakeUp.wait(for: .seconds(Self.noticeDelay))
                continue
            }
            switch schedule.next(now: now) {
            case .send(let entry): await begin(entry)
            case .giveUp(let entry): launch { drain, _ in await drain.giveUpUnanswered(entry) }
            case .list: await list()
            case .wait(let until): await wait(until)
            }
        }
        carrier?.abandon()
        bouncer.door.abandon()
        while let task = tasks.values.first { await task.value }
        await queues.finish()
    }

    private func watchForStandstills() async {
        while !Task.isCancelled {
            standstill.note(now: start.duration(to: clock.now))
            try? await Task.sleep(for: StandstillWatch.interval)
        }
    }

    /// Whether this process has stood still since what waits was listed: another owner may have sent it meanwhile.
    private func hasStoodStill() -> Bool {
        standstill.note(now: start.duration(to: clock.now))
        return queues.areShared && standstill.count != standstillsHeeded
    }

    /// Has everything listed again, once the other owner has had time to see that this one is there, and to tell what it sent.
    private func lookAnew() async {
        standstillsHeeded = standstill.count
        log.notice("stood still; another node may have sent what waits", metadata: ["relay": "\(settings.name)"])
        try? await Task.sleep(for: Self.handover)
        schedule.distrust()
    }

    private func wait(_ until: Int64?) async {
        if isOnRequest, tasks.isEmpty, !schedule.linkRests(at: now) { rest() }
        let due = [until, notices.first?.due].compactMap { $0 }.min()
        // No deadline is far: clocks are set.
        let seconds = due.map { max(0, min(60, $0 - now)) }
        await inbox.wakeUp.wait(for: .seconds(seconds ?? 60))
    }

    private func rest() { schedule.linkFailed(now: now, random: .random(in: 0 ... .max)) }

    private func takeArrivals() {
        let (arrivals, isAll) = inbox.take()
        for arrival in arrivals where queues.leads(arrival.queue) {
            schedule.arrived(queues.entry(arrival.queue, arrival.identity.text, octets: arrival.octets))
        }
        if !isAll { schedule.arrived() }
    }

    private func list() async {
        schedule.listingBegan(now: now)
        for queue in 0..<RelayQueue.count {
            for entry in await queues.list(queue) { schedule.offer(entry, now: now) }
        }
        schedule.listingEnded(now: now)
    }

    /// What it is launched as; `work` begins behind what this actor does now.
    @discardableResult
    private func launch(_ work: @escaping @Sendable (isolated RelayDrain, _ id: UInt64) async -> Void) -> UInt64 {
        lastID += 1
        let id = lastID
        tasks[id] = Task {
            await work(self, id)
            self.ended(id)
        }
        return id
    }

    private func ended(_ id: UInt64) {
        tasks[id] = nil
        inbox.wakeUp.wake()
    }

    // MARK: one message

    private func begin(_ entry: SpoolEntry) async {
        // Of a larger one no more is in memory.
        let held = min(entry.bytes, CopyText.wholeBytesMax)
        while !flight.admits(bytes: held), !Task.isCancelled { await inbox.wakeUp.wait(for: nil) }
        while let delay = rate.admit(bytes: entry.bytes, now: start.duration(to: clock.now)), !Task.isCancelled {
            try? await Task.sleep(for: delay)
        }
        guard !Task.isCancelled, let carrier else {
            schedule.interrupted(entry.name)
            if carrier == nil { rest() }
            return
        }
        if hasStoodStill() {
            schedule.interrupted(entry.name)
            return await lookAnew()
        }
        let id = launch { await $0.send(entry, $1, by: carrier) }
        flight.sent(id, bytes: held)
    }

    private func send(_ entry: SpoolEntry, _ id: UInt64, by carrier: any RelayCarrier) async {
        let began = clock.now
        let message: RelayMessage
        do throws(RelayQueues.Failure) {
            message = try await queues.read(entry)
        } catch {
            flight.withdrawn(id)
            return unread(entry, error)
        }
        let outcome = await carrier.carry(message)
        message.close()
        switch outcome {
        case .lost(let sends):
            flight.lost(id)
            lost(entry, message, sends, carrier)
        case .answered(let verdict, let sends):
            flight.answered(id, [verdict], now: start.duration(to: clock.now))
            schedule.linkWorks()
            report(entry, message, verdict, sends, took: began.duration(to: clock.now))
            await answered(entry, verdict)
        }
    }

    private func unread(_ entry: SpoolEntry, _ failure: RelayQueues.Failure) {
        switch failure {
        case .gone, .othersQueue:
            schedule.gone(entry.name)
        case .unreadable(let why):
            log.error(
                "cannot be relayed",
                metadata: ["relay": "\(settings.name)", "message": "\(entry.name)", "reason": "\(why)"])
            // What is damaged has no sender who could be told, until another owner's copy takes its place.
            if schedule.deferred(entry.name, now: now) == .giveUp {
                tellLater(entry, .deferred(Reason(451, "4.3.0", why)), by: nil)
            }
        }
    }

    /// No answer came. What the server has seen, or what the link would not take, waits its time, in case it is the reason.
    private func lost(_ entry: SpoolEntry, _ message: RelayMessage, _ sends: Int, _ carrier: any RelayCarrier) {
        if sends > 0 {
            // It goes again, and the server may have it by then (RFC 1047): whoever wonders finds it here.
            log.notice("sent, but not answered", metadata: facts(entry, message, sends))
        }
        if sends == 0, !carrier.isReachable {
            schedule.interrupted(entry.name)
        } else if schedule.deferred(entry.name, now: now) == .giveUp {
            launch { drain, _ in await drain.giveUpUnanswered(entry) }
        }
        if !carrier.isReachable, !schedule.linkRests(at: now) { rest() }
    }

    private func answered(_ entry: SpoolEntry, _ verdict: Verdict) async {
        switch verdict {
        case .accepted:
            succeeded = now
            lastRefusal = nil
            await done(entry)
        case .deferred(let reason):
            lastRefusal = "\(reason)"
            if schedule.deferred(entry.name, now: now) == .giveUp {
                await giveUp(entry, after: verdict, by: carrier?.server)
            }
        case .refused(let reason):
            lastRefusal = "\(reason)"
            await giveUp(entry, after: verdict, by: carrier?.server)
        }
    }

    private func report(
        _ entry: SpoolEntry, _ message: RelayMessage, _ verdict: Verdict, _ sends: Int, took: Duration
    ) {
        metrics.relayed(verdict)
        var facts = facts(entry, message, sends)
        facts["took"] = "\(took)"
        facts["verdict"] = "\(verdict)"
        log.info("relayed", metadata: facts)
    }

    private func facts(_ entry: SpoolEntry, _ message: RelayMessage, _ sends: Int) -> Logger.Metadata {
        var facts: Logger.Metadata = [
            "relay": "\(settings.name)", "message": "\(entry.name)", "from": "\(message.sender)",
            "to": "\(message.recipient)",
        ]
        if sends > 1 { facts["sends"] = "\(sends)" }
        return facts
    }

    private func done(_ entry: SpoolEntry) async {
        await queues.delete(entry)
        schedule.gone(entry.name)
    }

    // MARK: what fails

    /// Tells the sender. The message stays until that is done.
    ///
    /// - Parameters:
    ///   - verdict: the last word on it.
    ///   - server: whose word that is; nil for our own.
    private func giveUp(_ entry: SpoolEntry, after verdict: Verdict, by server: String?) async {
        let plan = bouncer.plan
        let queued: QueuedText
        do throws(RelayQueues.Failure) {
            queued = try await queues.read(entry, keeping: max(plan.headerBytesMax, plan.messageBytesMax))
        } catch {
            if case .unreadable = error { return tellLater(entry, verdict, by: server) }
            return schedule.gone(entry.name)
        }
        let recipient = FailedRecipient(
            address: queued.recipient, verdict: verdict, remoteHost: server, lastAttempt: now)
        let failed = FailedMessage(
            sender: queued.sender, recipients: [recipient], arrival: entry.birth,
            content: Array(queued.beginning.readableBytesView), isWhole: queued.isWhole)
        switch await bouncer.tell(failed, of: entry.name) {
        case .told:
            metrics.bounces.increment()
            await done(entry)
        case .later(let reason):
            log.error(
                "a sender cannot be told now",
                metadata: ["relay": "\(settings.name)", "message": "\(entry.name)", "reason": "\(reason)"])
            tellLater(entry, verdict, by: server)
        }
    }

    private func giveUpUnanswered(_ entry: SpoolEntry) async {
        await giveUp(entry, after: .deferred(Reason(451, "4.4.1", silence)), by: nil)
    }

    /// What there is to say where no server has said anything.
    private var silence: String {
        guard let carrier else { return "nobody has fetched it" }
        return carrier.lastFailure ?? "the server did not answer"
    }

    private func tellLater(_ entry: SpoolEntry, _ verdict: Verdict, by server: String?) {
        notices.append(Notice(entry: entry, verdict: verdict, server: server, due: now + Self.noticeDelay))
    }

    /// The first of them is due first, unless the clock was set.
    private func retryNotices() {
        let now = now
        while let notice = notices.first, notice.due <= now || notice.due > now + Self.noticeDelay,
            tasks.count < settings.inFlightMax
        {
            notices.removeFirst()
            launch { drain, _ in await drain.giveUp(notice.entry, after: notice.verdict, by: notice.server) }
        }
    }

    // MARK: what others ask

    /// Everything that waits is tried now. How many messages that is, here.
    func flush() async -> Int {
        let count = await status().messages
        schedule.kick()
        inbox.wakeUp.wake()
        return count
    }

    /// Whoever fetched a message tells what became of it; returns when that is known for good.
    func settle(_ uidl: String, of queue: Int, _ verdict: Verdict) async {
        let entry = queues.entry(queue, uidl, octets: 0)
        metrics.relayed(verdict)
        if verdict.isAccepted {
            succeeded = now
            await done(entry)
        } else {
            await giveUp(entry, after: verdict, by: carrier?.server)
        }
    }

    /// What waits in the queues that this node sends.
    func status() async -> SiteStatus {
        var status = SiteStatus(name: settings.name)
        (status.succeeded, status.error) = (succeeded, carrier?.lastFailure ?? lastRefusal)
        for queue in 0..<RelayQueue.count {
            guard let (messages, octets, oldest) = await queues.count(queue) else { continue }
            status.messages += messages
            status.octets += octets
            if let oldest { status.oldest = min(status.oldest ?? oldest, oldest) }
        }
        return status
    }
}
