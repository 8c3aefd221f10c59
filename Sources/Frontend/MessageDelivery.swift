import Cluster
import Mail
import Membership
import NIOCore
import SMTP
import Wire

/// One message on its way from a client to the storage nodes.
///
/// A small message is gathered and handed to the nodes whole, on connections that many messages share, so that it can
/// be sent again under its name when a node dies. A large one streams to all its nodes at the same time while it comes
/// in, as fast as the slowest of them takes it, and is never whole in memory.
final class MessageDelivery {
    let identity: MessageIdentity
    /// Called when the nodes have taken what made `isBlocked` true.
    var unblocked: () -> Void = {}

    private let sender: ReversePath
    private let isUTF8: Bool
    private let destinations: [Destination]
    private let frontend: FrontendContext
    private let eventLoop: any EventLoop
    private let legs: [Leg]
    private var quorum: DeliveryQuorum
    private var body = ByteBuffer()
    private var streams: [MessageStream] = []
    private var streamed: [NodeTransaction] = []
    private var finished: (([Verdict]) -> Void)?

    /// One storage node, and which of the destinations it owns.
    private struct Leg {
        let node: Ring.NodeIndex
        let destinations: [Int]
    }

    init(
        identity: MessageIdentity, sender: ReversePath, isUTF8: Bool, destinations: [Destination],
        frontend: FrontendContext, eventLoop: any EventLoop
    ) {
        self.identity = identity
        self.sender = sender
        self.isUTF8 = isUTF8
        self.destinations = destinations
        self.frontend = frontend
        self.eventLoop = eventLoop
        let owners = destinations.map { Array(frontend.map.owners(of: $0.mailbox)) }
        legs = Self.legs(owners)
        quorum = DeliveryQuorum(owners: owners, quorum: frontend.durableCopies)
    }

    private static func legs(_ owners: [[Ring.NodeIndex]]) -> [Leg] {
        var places: [Ring.NodeIndex: [Int]] = [:]
        for (destination, nodes) in owners.enumerated() {
            for node in nodes { places[node, default: []].append(destination) }
        }
        return places.sorted { $0.key < $1.key }.map { Leg(node: $0.key, destinations: $0.value) }
    }

    private func transaction(for leg: Leg, body: ByteBuffer) -> NodeTransaction {
        NodeTransaction(
            identity: identity, sender: sender, isUTF8: isUTF8, destinations: leg.destinations.map { destinations[$0] },
            body: body
        ) { verdicts in
            self.answered(leg, verdicts)
        }
    }

    // MARK: the text

    func append(_ bytes: [UInt8]) {
        body.writeBytes(bytes)
    }

    func append(_ piece: ByteBuffer) {
        body.writeImmutableBuffer(piece)
        if !streams.isEmpty || body.readableBytes > frontend.gatherBytesMax { stream() }
    }

    /// Whether the client must wait before it sends more.
    var isBlocked: Bool { streams.contains { $0.isBlocked } }

    private func stream() {
        if streams.isEmpty { openStreams() }
        for stream in streams { stream.send(body) }
        body = ByteBuffer()
    }

    private func openStreams() {
        for leg in legs {
            let transaction = transaction(for: leg, body: ByteBuffer())
            let stream = MessageStream(
                transaction: transaction, settings: frontend.streamSettings, times: frontend.streamTimes,
                stallTimeout: frontend.answerTimeout
            ) { [weak self] in
                guard let self, !isBlocked else { return }
                unblocked()
            }
            streams.append(stream)
            streamed.append(transaction)
            let target = frontend.links[eventLoop][frontend.map[leg.node]].target
            Dialer.connect(target, on: eventLoop, conversation: stream)
        }
    }

    // MARK: the end

    /// The message is whole. Tells one verdict for each destination, once.
    func finish(_ finished: @escaping ([Verdict]) -> Void) {
        self.finished = finished
        if !streams.isEmpty, quorum.isDecided {
            // Nobody can have accepted before the end, so all is lost already, and no copy may stay anywhere.
            abandon()
            return tellIfKnown()
        }
        let links = frontend.links[eventLoop]
        guard streams.isEmpty else {
            stream()
            for (leg, (stream, transaction)) in zip(legs, zip(streams, streamed)) {
                links[frontend.map[leg.node]].setDeadline(transaction)
                stream.finish()
            }
            return
        }
        for leg in legs { links[frontend.map[leg.node]].submit(transaction(for: leg, body: body)) }
        body = ByteBuffer()
    }

    /// The client went away or broke the rules: nothing of the message stays.
    func abandon() {
        unblocked = {}
        for stream in streams { stream.abandon() }
        streams = []
        body = ByteBuffer()
    }

    private func answered(_ leg: Leg, _ verdicts: [Verdict]) {
        for (destination, verdict) in zip(leg.destinations, verdicts) {
            _ = quorum.answered(node: leg.node, recipient: destination, verdict)
        }
        tellIfKnown()
    }

    /// A stream may fail before the message is whole: then the outcome is known before it is asked for.
    private func tellIfKnown() {
        guard let finished, quorum.isDecided else { return }
        self.finished = nil
        finished(quorum.verdicts.map { $0 ?? .deferred(.unexpected) })
    }
}
