import Cluster
import Hops
import Logging
import Mail
import Membership
import NIOCore
import Wire

/// The ways from a frontend to the storage nodes of one epoch. A message or a login keeps to those that it began with.
final class NodeRoutes: Sendable {
    let map: ClusterMap
    let links: PerLoop<NodeLinks>
    /// For POP3 sessions; in the order of the ring's members.
    private let sessionLinks: PerLoop<[SessionLink]>
    /// In the order of the ring's members.
    private let health: [NodeHealth]
    private let settings: Settings

    /// What stays the same from epoch to epoch.
    struct Settings: Sendable {
        let link: NodeLinkSettings
        let connectTimeout: Duration
        let hopTLS: HopTLS
        let clock: SystemClock
        let group: any EventLoopGroup
        let log: Logger
    }

    /// - Parameter previous: those of the epoch before, for what is known of nodes that are the same.
    init(_ map: ClusterMap, settings: Settings, after previous: NodeRoutes? = nil) {
        let health = map.nodes.map { node in
            previous?.known(node) ?? NodeHealth(clock: settings.clock.monotonic)
        }
        self.map = map
        self.health = health
        self.settings = settings
        sessionLinks = PerLoop(settings.group) { loop in
            map.nodes.map { node in
                SessionLink(
                    target: { Self.target(node.pop3, of: node, settings) }, idleTimeout: settings.link.idleTimeout,
                    eventLoop: loop)
            }
        }
        links = PerLoop(settings.group) { loop in
            NodeLinks(eventLoop: loop, health: health, settings: settings.link, log: settings.log) { node in
                Self.target(map[node].lmtp, of: map[node], settings)
            }
        }
    }

    /// What is known of a node that was the same in this epoch.
    private func known(_ node: NodeSettings) -> NodeHealth? { map.index(of: node).map { health[Int($0)] } }

    var connectTimeout: Duration { settings.connectTimeout }

    func health(of node: Ring.NodeIndex) -> NodeHealth { health[Int(node)] }

    /// The way for POP3 sessions from an event loop to a node.
    func sessionLink(to node: Ring.NodeIndex, from eventLoop: any EventLoop) -> SessionLink {
        sessionLinks[eventLoop][Int(node)]
    }

    /// Where a node takes POP3.
    func pop3Target(_ node: Ring.NodeIndex) -> DialTarget { Self.target(map[node].pop3, of: map[node], settings) }

    private static func target(_ endpoint: Endpoint, of node: NodeSettings, _ settings: Settings) -> DialTarget {
        DialTarget(
            endpoint: endpoint, tls: node.trusted ? nil : settings.hopTLS.value, certificateName: node.name,
            timeout: settings.connectTimeout)
    }

    /// The nodes that a mailbox's POP3 sessions may go to, those first that are likely to answer.
    func owners(of mailbox: MailboxName) -> [Ring.NodeIndex] {
        let owners = map.owners(of: mailbox)
        return owners.filter { !health(of: $0).isSuspect } + owners.filter { health(of: $0).isSuspect }
    }

    /// Whether so many nodes that may take copies can be reached from an event loop.
    func canReach(_ count: Int, from eventLoop: any EventLoop) -> Bool {
        let links = links[eventLoop]
        let reachable = map.ring.members.indices.lazy.filter { index in
            self.map.ring.members[index].weight > 0 && links[Ring.NodeIndex(index)].isReachable
        }
        return reachable.prefix(count).count >= count
    }

    /// Waits until every copy that is under way has its answer, for `timeout` at most; then says goodbye everywhere.
    func quit(within timeout: Duration) async {
        let end = ContinuousClock.now + timeout
        while await links.onEach({ $0.load }).contains(where: { $0 > 0 }), ContinuousClock.now < end {
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { break }
        }
        _ = await links.onEach { $0.quit() }
        _ = await sessionLinks.onEach { links in
            for link in links { link.quit() }
        }
    }
}
