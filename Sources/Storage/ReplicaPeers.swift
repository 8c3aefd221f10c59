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

/// The other storage nodes of one epoch, as a storage node asks and tells them. Another epoch has another one of these.
final class ReplicaPeers: Sendable {
    /// The ways from one event loop to all nodes.
    private struct Ways {
        let deliveries: NodeLinks
        let digests: [PeerLink]
        /// Apart from the digests: handing over takes its time.
        let drains: [PeerLink]
    }

    /// What stays the same from epoch to epoch.
    struct Settings: Sendable {
        let delivery: DeliverySettings
        /// This node's name.
        let name: String
        let hopTLS: HopTLS
        let group: any EventLoopGroup
        let log: Logger
    }

    let map: ClusterMap
    /// This node's place in the ring; nil if it is no member of this epoch.
    let own: Ring.NodeIndex?
    /// Whether this node is the whole cluster.
    var isAlone: Bool { own != nil && map.ring.members.count == 1 }
    private let hops: PerLoop<Ways>
    private let health: [NodeHealth]
    private let settings: Settings

    /// - Parameter previous: those of the epoch before, for what is known of nodes that are the same.
    init(_ map: ClusterMap, settings: Settings, after previous: ReplicaPeers? = nil) {
        let health = map.nodes.map { previous?.known($0) ?? NodeHealth() }
        let delivery = settings.delivery
        let link = NodeLinkSettings(
            timeout: delivery.timeout, lagTimeout: delivery.handoffAfter, idleTimeout: delivery.idleTimeout,
            connectionsMax: delivery.connectionsPerNode,
            reconnect: ReconnectBackoff(first: delivery.reconnectDelay, max: delivery.reconnectDelayMax),
            session: LinkSession(
                SMTPClientSettings(
                    mode: .lmtp, clientName: settings.name,
                    transactionsInFlightMax: delivery.inFlightPerConnectionMax)))
        self.map = map
        own = map.ring.index(of: settings.name)
        self.health = health
        self.settings = settings
        hops = PerLoop(settings.group) { loop in
            func links(_ timeout: Duration) -> [PeerLink] {
                map.nodes.indices.map { index in
                    PeerLink(
                        target: { Self.target(map.nodes[index], isPOP3: true, settings) },
                        health: health[index], timeout: timeout, eventLoop: loop)
                }
            }
            return Ways(
                deliveries: NodeLinks(eventLoop: loop, health: health, settings: link, log: settings.log) {
                    Self.target(map[$0], isPOP3: false, settings)
                }, digests: links(delivery.handoffAfter), drains: links(delivery.timeout))
        }
    }

    /// What is known of a node that was the same in this epoch.
    private func known(_ node: NodeSettings) -> NodeHealth? { map.index(of: node).map { health[Int($0)] } }

    private static func target(
        _ node: NodeSettings, isPOP3: Bool, _ settings: Settings
    ) -> DialTarget {
        DialTarget(
            endpoint: isPOP3 ? node.pop3 : node.lmtp, tls: node.trusted ? nil : settings.hopTLS.value,
            certificateName: node.name, timeout: settings.delivery.connectTimeout)
    }

    private func pop3Target(_ node: Ring.NodeIndex) -> DialTarget {
        Self.target(map[node], isPOP3: true, settings)
    }

    func isReachable(_ node: Ring.NodeIndex) -> Bool { !health[Int(node)].isSuspect }

    func peer(_ node: Ring.NodeIndex) -> Peer { Peer(index: node, peers: self) }

    /// Whether this node owns a partition.
    func owns(partition: Int) -> Bool {
        guard let own, (0..<map.ring.partitions).contains(partition) else { return false }
        return map.ring.owners(ofPartition: partition).contains(own)
    }

    /// The owners of a mailbox but this node.
    func owners(of mailbox: MailboxName) -> [Peer] { map.owners(of: mailbox).filter { $0 != own }.map(peer) }

    /// Nobody asks any more: says goodbye everywhere.
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

    func status(of node: Ring.NodeIndex) async throws(PeerError) -> NodeStatus {
        NodeStatus(try await ask(.xstatus()) { $0.digests[Int(node)] }.text)
    }

    /// The mailboxes of a partition that a node has anything of; nil if together they come to `digest`.
    func mailboxes(
        ofPartition partition: Int, at node: Ring.NodeIndex, unless digest: PartitionDigest
    ) async throws(PeerError) -> [MailboxName: MailboxDigest]? {
        let loop = settings.group.any()
        let remote = RemotePartition(timeout: settings.delivery.timeout, on: loop, target: pop3Target(node))
        defer { remote.quit() }
        return try await remote.mailboxes(partition, unless: digest)
    }

    /// Has a node bring here what waits there in a mailbox, for whomever.
    func drain(_ mailbox: MailboxName, at node: Ring.NodeIndex) async throws(PeerError) {
        _ = try await ask(.xdrain(mailbox, node: settings.name)) { $0.drains[Int(node)] }
    }

    fileprivate func heard(of node: Ring.NodeIndex) {
        health[Int(node)].heard()
        let loop = settings.group.any()
        loop.execute { [self] in hops[loop].deliveries[node].knock() }
    }

    private func ask(
        _ command: POP3ClientCommand, _ link: @escaping @Sendable (Ways) -> PeerLink
    ) async throws(PeerError) -> POP3Reply {
        let loop = settings.group.any()
        let answer: PeerLink.Answer = await withCheckedContinuation { asked in
            loop.execute { [self] in link(hops[loop]).ask(command) { asked.resume(returning: $0) } }
        }
        return try answer.get()
    }

    /// A node's copy of a mailbox, to be read.
    func replica(of mailbox: MailboxName, at node: Ring.NodeIndex) -> RemoteReplica {
        let loop = settings.group.any()
        return RemoteReplica(
            mailbox: mailbox, timeout: settings.delivery.timeout, on: loop, target: pop3Target(node))
    }

    // MARK: telling

    /// What is carried to a node.
    enum Cargo: Sendable {
        case tombstone(Tombstone)
        case message(MessageIdentity, MessageReader)
        /// The node has it, and is to keep it for another one.
        case hold(MessageIdentity)
        /// The node need not keep it for another any more.
        case release(MessageIdentity)
    }

    /// Carries a message or tombstone of a mailbox to a node.
    /// - Parameters:
    ///   - owner: whom it is to be kept for, as `XFOR` says it; nil for the mailbox itself.
    ///   - sitePath: the sites that it has been at, if the node is to pass it on to others; nil if that was done before.
    func carry(
        _ cargo: Cargo, of mailbox: MailboxName, to node: Ring.NodeIndex, heldFor owner: String? = nil,
        sitePath: SitePath? = nil
    ) async -> Verdict {
        let recipient = SMTPRecipient(
            address: EmailAddress(local: "replica", domain: "hauberk.invalid"), mailbox: mailbox,
            heldFor: owner)
        switch cargo {
        case .tombstone(let tombstone):
            return await submit(tombstone.name, .tombstone, CopyText.whole(tombstone), recipient, sitePath, to: node)
        case .hold(let name):
            return await submit(name, .hold, ByteBuffer(), recipient, to: node)
        case .release(let name):
            return await submit(name, .release, ByteBuffer(), recipient, to: node)
        case .message(let name, let reader):
            if reader.size > CopyText.wholeBytesMax { return await stream(name, reader, recipient, sitePath, to: node) }
            guard let body = await CopyText.whole(reader) else { return .deferred(.unexpected) }
            return await submit(name, .copy, body, recipient, sitePath, to: node)
        }
    }

    private func submit(
        _ name: MessageIdentity, _ content: HopContent, _ body: ByteBuffer, _ recipient: SMTPRecipient,
        _ sitePath: SitePath? = nil, to node: Ring.NodeIndex
    ) async -> Verdict {
        let loop = settings.group.any()
        return await withCheckedContinuation { submitted in
            loop.execute { [self] in
                let transaction = NodeTransaction(
                    identity: name, recipients: [recipient], content: content, sitePath: sitePath, body: body
                ) { verdicts in
                    submitted.resume(returning: verdicts.first ?? .deferred(.unexpected))
                }
                hops[loop].deliveries[node].submit(transaction)
            }
        }
    }

    private func stream(
        _ name: MessageIdentity, _ reader: MessageReader, _ recipient: SMTPRecipient, _ sitePath: SitePath?,
        to node: Ring.NodeIndex
    ) async -> Verdict {
        let loop = settings.group.any()
        return await withCheckedContinuation { submitted in
            loop.execute { [self] in
                let transaction = NodeTransaction(
                    identity: name, recipients: [recipient], content: .copy, sitePath: sitePath, body: ByteBuffer()
                ) { verdicts in
                    submitted.resume(returning: verdicts.first ?? .deferred(.unexpected))
                }
                CopyStreaming.start(
                    reader, as: transaction, to: hops[loop].deliveries[node].target,
                    session: LinkSession(SMTPClientSettings(mode: .lmtp, clientName: settings.name)),
                    timeout: settings.delivery.timeout, on: loop)
            }
        }
    }
}

/// One other node, as it is reached in one epoch.
struct Peer: Sendable {
    let index: Ring.NodeIndex
    let peers: ReplicaPeers

    var name: String { peers.map[index].name }
    var isReachable: Bool { peers.isReachable(index) }

    func digest(of mailbox: MailboxName) async throws(PeerError) -> (digest: MailboxDigest, held: Int) {
        try await peers.digest(of: mailbox, at: index)
    }

    /// It has asked something, so it is there.
    func heard() { peers.heard(of: index) }

    func drain(_ mailbox: MailboxName) async throws(PeerError) { try await peers.drain(mailbox, at: index) }

    func replica(of mailbox: MailboxName) -> RemoteReplica { peers.replica(of: mailbox, at: index) }

    func carry(
        _ cargo: ReplicaPeers.Cargo, of mailbox: MailboxName, heldFor owner: String? = nil
    ) async -> Verdict {
        await peers.carry(cargo, of: mailbox, to: index, heldFor: owner)
    }
}

extension Peer: SpoolTaker {
    /// Whoever kept it for this node has not passed it on to other sites.
    func take(_ cargo: ReplicaPeers.Cargo, of mailbox: MailboxName, at path: SitePath) async -> Verdict {
        await peers.carry(cargo, of: mailbox, to: index, sitePath: path)
    }
}
