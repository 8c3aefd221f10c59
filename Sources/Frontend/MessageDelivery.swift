import Cluster
import Directory
import Hops
import Logging
import Mail
import Membership
import NIOCore
import SMTP
import Wire

/// One message on its way from a client to the storage nodes.
///
/// A small message is gathered and handed to the nodes whole, on connections that many messages share, so that it can
/// be sent again under its name when a node dies, or to another node. A large one streams to all its nodes at the same
/// time while it comes in, as fast as the slowest of them that is needed takes it, and is never whole in memory.
///
/// The client has its answer when the quorum has the message. What is missing then, this goes on with behind the answer.
final class MessageDelivery {
    let identity: MessageIdentity
    /// Called when the nodes have taken what made `isBlocked` true.
    var unblocked: () -> Void = {}

    let sender: ReversePath
    private let isUTF8: Bool
    private let content: HopContent
    private let sitePath: SitePath?
    private var destinations: [Destination]
    private let frontend: FrontendContext
    private let map: ClusterMap
    private let links: NodeLinks
    private let eventLoop: any EventLoop
    /// Made when it is known whether the message can be sent again.
    private var plan: DeliveryPlan?
    /// Also what is sent again, until every copy has its place.
    private var body: ByteBuffer
    private var streams: [(stream: MessageStream, transaction: NodeTransaction, node: Ring.NodeIndex)] = []
    private var sentLast = NIODeadline.now()
    private var isAbandoned = false
    private var isOver = false
    private var finished: (([Verdict]) -> Void)?

    init(
        identity: MessageIdentity, sender: ReversePath, isUTF8: Bool, content: HopContent, sitePath: SitePath?,
        destinations: [Destination], frontend: FrontendContext, eventLoop: any EventLoop
    ) {
        self.identity = identity
        self.sender = sender
        self.isUTF8 = isUTF8
        self.content = content
        self.sitePath = sitePath
        self.destinations = destinations
        self.frontend = frontend
        self.eventLoop = eventLoop
        let routes = frontend.routes
        map = routes.map
        links = routes.links[eventLoop]
        // Most messages need no more.
        body = ByteBufferAllocator().buffer(capacity: 8 << 10)
    }

    private func makePlan(canResend: Bool) -> [DeliveryPlan.Copy] {
        let ring = map.ring
        var plan = DeliveryPlan(
            ring: ring, partitions: destinations.map { ring.partition(of: $0.mailbox) },
            quorum: frontend.durableCopies, canResend: canResend)
        let copies = plan.start(isLive: isLive)
        self.plan = plan
        return copies
    }

    /// Whether no copy has a `Delivered-To:`: the same for all of them, wherever they are, once there is a plan.
    private var isAlike: Bool { frontend.deliveredTo == .single && destinations.count > 1 }

    private func isLive(_ node: Ring.NodeIndex) -> Bool { links[node].isReachable }

    // MARK: the text

    func append(_ bytes: [UInt8]) {
        body.writeBytes(bytes)
    }

    func append(_ piece: ByteBuffer) {
        guard !isAbandoned else { return }
        if isStreaming { return addToChunks(piece) }
        let starts = startsStreaming(with: piece.readableBytes)
        body.writeImmutableBuffer(piece)
        if starts { stream() }
    }

    private func addToChunks(_ piece: ByteBuffer) {
        var rest = piece
        while rest.readableBytes > 0 {
            if body.capacity == 0 { body = ByteBufferAllocator().buffer(capacity: Self.chunkBytes) }
            let room = Self.chunkBytes - body.readableBytes
            if rest.readableBytes < room { return _ = body.writeImmutableBuffer(rest) }
            if let part = rest.readSlice(length: room) { body.writeImmutableBuffer(part) }
            stream()
        }
    }

    /// What goes to the nodes at once, however small the pieces are in which it comes: each chunk costs every node a
    /// command, a TLS record and a reply.
    private static let chunkBytes = 64 << 10

    /// Sends what has gathered for long, so that no node takes a slow client for a dead one.
    func sendGathered() {
        guard isStreaming, body.readableBytes > 0, NIODeadline.now() - sentLast > .seconds(1) else { return }
        stream()
    }

    /// Whether it is on its way already, so that its destinations are settled.
    var isStreaming: Bool { !streams.isEmpty }

    /// Whether so many more octets make it too large to be gathered whole.
    func startsStreaming(with count: Int) -> Bool {
        !isStreaming && body.readableBytes + count > frontend.gatherBytesMax
    }

    /// Leaves out the other destinations, before anything was sent.
    func narrow(to destinations: [Destination]) {
        precondition(plan == nil, "destinations change on the way")
        self.destinations = destinations
        if destinations.isEmpty { abandon() }
    }

    /// Whether the client must wait before it sends more.
    var isBlocked: Bool { streams.contains { $0.stream.isBlocked } }

    private func stream() {
        if streams.isEmpty { openStreams() }
        for (stream, _, _) in streams { stream.send(body) }
        body = ByteBuffer()
        sentLast = .now()
    }

    private func openStreams() {
        for (node, copies) in Self.legs(makePlan(canResend: false)) {
            let target = links[node].target
            let transaction = transaction(copies, content: content, body: ByteBuffer())
            let stream = MessageStream(
                transaction: transaction, session: frontend.streamSession, target: target,
                times: frontend.streamTimes,
                stallTimeout: frontend.answerTimeout, lagTimeout: frontend.lagTimeout
            ) { [weak self] in
                guard let self, !isBlocked else { return }
                unblocked()
            } stalled: { [weak self] stream in
                self?.stalled(stream)
            } failed: { [link = links[node]] in
                link.failedElsewhere($0)
            }
            streams.append((stream, transaction, node))
            Dialer.connect(target, on: eventLoop, conversation: stream)
        }
    }

    /// A node that lags holds the client up only while the message cannot do without it.
    private func stalled(_ slow: MessageStream) {
        guard let node = streams.first(where: { $0.stream === slow })?.node else { return }
        if plan?.canDoWithout(node) ?? false { slow.abandon() }
    }

    // MARK: the copies

    private static func legs(_ copies: [DeliveryPlan.Copy]) -> [(Ring.NodeIndex, [DeliveryPlan.Copy])] {
        if copies.count <= 1 { return copies.map { ($0.node, [$0]) } }
        return Dictionary(grouping: copies, by: \.node).sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private func send(_ copies: [DeliveryPlan.Copy]) {
        guard !isAbandoned else { return }
        guard !copies.isEmpty else { return }
        submit(copies.filter { $0.kind != .hold }, content: content, body: body)
        submit(copies.filter { $0.kind == .hold }, content: .hold, body: ByteBuffer())
    }

    private func submit(_ copies: [DeliveryPlan.Copy], content: HopContent, body: ByteBuffer) {
        for (node, copies) in Self.legs(copies) {
            let transaction = transaction(copies, content: content, body: body)
            transaction.lagging = { [self] in
                send(copies.flatMap { plan?.lagging($0, isLive: isLive) ?? [] })
            }
            links[node].submit(transaction)
        }
    }

    private func transaction(
        _ copies: [DeliveryPlan.Copy], content: HopContent, body: ByteBuffer
    ) -> NodeTransaction {
        let recipients = copies.map { copy in
            SMTPRecipient(
                address: destinations[copy.recipient].address, mailbox: destinations[copy.recipient].mailbox,
                heldFor: copy.kind == .own ? nil : map[copy.owner].name)
        }
        return NodeTransaction(
            identity: identity, sender: sender, isUTF8: isUTF8, recipients: recipients, content: content,
            isAlike: isAlike && content == .message, sitePath: sitePath, body: body
        ) { verdicts in
            self.answered(copies, verdicts)
        }
    }

    private func answered(_ copies: [DeliveryPlan.Copy], _ verdicts: [Verdict]) {
        var more: [DeliveryPlan.Copy] = []
        for (copy, verdict) in zip(copies, verdicts) {
            more += plan?.answered(copy, verdict, isLive: isLive) ?? []
            frontend.metrics.copyAnswered(copy.kind, verdict)
        }
        send(more)
        tellIfKnown()
        if let plan, plan.isFinished, !isOver { end(plan) }
    }

    /// Every copy has its place, or none is to be had for it now.
    private func end(_ plan: DeliveryPlan) {
        isOver = true
        body = ByteBuffer()
        for (recipient, owner) in plan.forgotten where plan.verdicts[recipient] == .accepted {
            frontend.log.warning(
                "an owner has no copy until the replicas are compared",
                metadata: [
                    "message": "\(identity)", "mailbox": "\(destinations[recipient].mailbox)",
                    "node": "\(map[owner].name)",
                ])
        }
    }

    // MARK: the end

    /// The message is whole. Tells one verdict for each destination, once.
    func finish(_ finished: @escaping ([Verdict]) -> Void) {
        self.finished = finished
        unblocked = {}
        guard !streams.isEmpty else { return send(makePlan(canResend: true)) }
        if plan?.isDecided ?? false {
            // Nobody can have accepted before the end, so all is lost already, and no copy may stay anywhere.
            abandon()
            return tellIfKnown()
        }
        stream()
        for (stream, transaction, node) in streams {
            links[node].setDeadline(transaction)
            stream.finish()
        }
    }

    /// The client went away or broke the rules: nothing of the message stays.
    func abandon() {
        isAbandoned = true
        unblocked = {}
        for (stream, _, _) in streams { stream.abandon() }
        streams = []
        body = ByteBuffer()
    }

    /// A stream may fail before the message is whole: then the outcome is known before it is asked for.
    private func tellIfKnown() {
        guard let finished, let plan, plan.isDecided else { return }
        self.finished = nil
        finished(plan.verdicts.map { $0 ?? .deferred(.unexpected) })
    }
}
