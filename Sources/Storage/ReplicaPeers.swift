import Cluster
import Hops
import Logging
import Mail
import Maildirs
import Membership
import NIOCore
import POP3
import SMTP
import Synchronization
import Wire

/// The other storage nodes of the ring, as a storage node asks and tells them.
final class ReplicaPeers: Sendable {
    /// The ways from one event loop to all nodes.
    private struct Ways {
        let deliveries: NodeLinks
        let digests: [PeerLink]
        /// Apart from the digests: handing over takes its time.
        let drains: [PeerLink]
    }

    let map: ClusterMap
    let own: Ring.NodeIndex?
    private let hops: PerLoop<Ways>
    private let health: [NodeHealth]
    private let group: any EventLoopGroup
    private let settings: DeliverySettings
    private let name: String
    private let hopTLS: HopTLS

    /// A larger message streams to the other node and is never whole in memory.
    private static let wholeBytesMax = 1 << 20

    init(
        _ configuration: ClusterConfiguration, node: NodeSettings, tls: ClientTLS?, group: any EventLoopGroup,
        log: Logger
    ) {
        let map = ClusterMap(configuration)
        let delivery = configuration.delivery
        let clock = ContinuousClock()
        let start = clock.now
        let health = map.nodes.map { _ in NodeHealth(clock: { start.duration(to: clock.now) }) }
        let settings = NodeLinkSettings(
            timeout: delivery.timeout, lagTimeout: delivery.handoffAfter, idleTimeout: delivery.idleTimeout,
            connectionsMax: delivery.connectionsPerNode, inFlightMax: delivery.inFlightPerConnectionMax,
            reconnect: ReconnectBackoff(first: delivery.reconnectDelay, max: delivery.reconnectDelayMax),
            clientName: node.name)
        let current = HopTLS(tls)
        self.map = map
        own = map.ring.index(of: node.name)
        self.health = health
        self.group = group
        self.settings = delivery
        name = node.name
        hopTLS = current
        hops = PerLoop(group) { loop in
            func links(_ timeout: Duration) -> [PeerLink] {
                map.nodes.indices.map { index in
                    PeerLink(
                        target: { Self.target(map.nodes[index], isPOP3: true, current, delivery) },
                        health: health[index], timeout: timeout, eventLoop: loop)
                }
            }
            return Ways(
                deliveries: NodeLinks(eventLoop: loop, health: health, settings: settings, log: log) {
                    Self.target(map[$0], isPOP3: false, current, delivery)
                }, digests: links(delivery.handoffAfter), drains: links(delivery.timeout))
        }
    }
    private static func target(
        _ node: NodeSettings, isPOP3: Bool, _ tls: HopTLS, _ delivery: DeliverySettings
    ) -> DialTarget {
        DialTarget(
            endpoint: isPOP3 ? node.pop3 : node.lmtp, tls: node.trusted ? nil : tls.value, certificateName: node.name,
            timeout: delivery.connectTimeout)
    }

    private func pop3Target(_ node: Ring.NodeIndex) -> DialTarget {
        Self.target(map[node], isPOP3: true, hopTLS, settings)
    }

    /// For connections to come.
    func setHopTLS(_ tls: ClientTLS?) { hopTLS.value = tls }

    func isReachable(_ node: Ring.NodeIndex) -> Bool { !health[Int(node)].isSuspect }

    /// The process ends: says goodbye everywhere.
    func quit() async {
        _ = await hops.onEach { ways in
            ways.deliveries.quit()
            for link in ways.digests + ways.drains { link.quit() }
        }
    }

    // MARK: asking

    /// What a node's copy of a mailbox comes to, and how much waits there in it for other nodes.
    func digest(
        of mailbox: MailboxName, at node: Ring.NodeIndex
    ) async throws(PeerError) -> (digest: MailboxDigest, held: Int) {
        let reply = try await ask(.xdigest(mailbox)) { $0.digests[Int(node)] }
        guard let digest = MailboxDigest(reply.text),
            let held = reply.text.split(separator: " ").last.flatMap({ Int($0) })
        else { throw .unreachable("no digest: \(reply.text)") }
        return (digest, held)
    }

    /// Has a node bring here what waits there in a mailbox, for whomever.
    func drain(_ mailbox: MailboxName, at node: Ring.NodeIndex) async throws(PeerError) {
        _ = try await ask(.xdrain(mailbox, node: name)) { $0.drains[Int(node)] }
    }

    /// A node has asked something, so it is there.
    func heard(of node: Ring.NodeIndex) {
        health[Int(node)].heard()
        let loop = group.any()
        loop.execute { [self] in hops[loop].deliveries[node].knock() }
    }

    private func ask(
        _ command: POP3ClientCommand, _ link: @escaping @Sendable (Ways) -> PeerLink
    ) async throws(PeerError) -> POP3Reply {
        let loop = group.any()
        let answer: PeerLink.Answer = await withCheckedContinuation { asked in
            loop.execute { [self] in link(hops[loop]).ask(command) { asked.resume(returning: $0) } }
        }
        return try answer.get()
    }

    /// A node's copy of a mailbox, to be read.
    func replica(of mailbox: MailboxName, at node: Ring.NodeIndex) -> RemoteReplica {
        let loop = group.any()
        return RemoteReplica(mailbox: mailbox, timeout: settings.timeout, on: loop, target: pop3Target(node))
    }

    // MARK: telling

    /// What is carried to a node.
    enum Cargo: Sendable {
        case tombstone(Tombstone)
        case message(MessageIdentity, MessageReader)
        /// The node has it, and is to keep it for another one.
        case hold(MessageIdentity)
    }

    /// Carries a message or tombstone of a mailbox to a node.
    /// - Parameter owner: the node that it is to be kept for; nil for the mailbox itself.
    func carry(
        _ cargo: Cargo, of mailbox: MailboxName, to node: Ring.NodeIndex, heldFor owner: Ring.NodeIndex? = nil
    ) async -> Verdict {
        let recipient = SMTPRecipient(
            address: EmailAddress(local: "replica", domain: "hauberk.invalid"), mailbox: mailbox,
            heldFor: owner.map { map[$0].name })
        switch cargo {
        case .tombstone(let tombstone):
            var text = CopyText()
            var body = ByteBuffer()
            text.append(tombstone.lines, to: &body)
            return await submit(tombstone.name, .tombstone, body, recipient, to: node)
        case .hold(let name):
            return await submit(name, .hold, ByteBuffer(), recipient, to: node)
        case .message(let name, let reader):
            if reader.size > Self.wholeBytesMax { return await stream(name, reader, recipient, to: node) }
            guard let body = await Self.wholeText(reader) else { return .deferred(.unexpected) }
            return await submit(name, .copy, body, recipient, to: node)
        }
    }

    private func submit(
        _ name: MessageIdentity, _ content: HopContent, _ body: ByteBuffer, _ recipient: SMTPRecipient,
        to node: Ring.NodeIndex
    ) async -> Verdict {
        let loop = group.any()
        return await withCheckedContinuation { submitted in
            loop.execute { [self] in
                let transaction = NodeTransaction(
                    identity: name, recipients: [recipient], content: content, body: body
                ) { verdicts in
                    submitted.resume(returning: verdicts.first ?? .deferred(.unexpected))
                }
                hops[loop].deliveries[node].submit(transaction)
            }
        }
    }

    private func stream(
        _ name: MessageIdentity, _ reader: MessageReader, _ recipient: SMTPRecipient, to node: Ring.NodeIndex
    ) async -> Verdict {
        let loop = group.any()
        return await withCheckedContinuation { submitted in
            loop.execute { [self] in
                let transaction = NodeTransaction(
                    identity: name, recipients: [recipient], content: .copy, body: ByteBuffer()
                ) { verdicts in
                    submitted.resume(returning: verdicts.first ?? .deferred(.unexpected))
                }
                CopyStreaming.start(
                    reader, as: transaction, to: hops[loop].deliveries[node].target,
                    settings: SMTPClientSettings(mode: .lmtp, clientName: self.name), timeout: settings.timeout,
                    on: loop)
            }
        }
    }

    /// Nil if it cannot be read to its end.
    private static func wholeText(_ reader: MessageReader) async -> ByteBuffer? {
        var text = CopyText()
        var body = ByteBuffer()
        var octets = 0
        while true {
            let piece: MessageReader.Piece = await withCheckedContinuation { read in
                reader.read { read.resume(returning: $0) }
            }
            guard case .success(let bytes) = piece else { return nil }
            guard !bytes.isEmpty else { return octets >= reader.size ? body : nil }
            octets += bytes.count
            text.append(bytes, to: &body)
        }
    }
}
