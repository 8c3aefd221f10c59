import Logging
import Membership
import NIOCore
import Synchronization
import Wire

/// What all event loops of a frontend know of one storage node: whether any of them gets through to it.
final class NodeHealth: Sendable {
    private let reachable = Atomic<Bool>(true)

    var isReachable: Bool {
        get { reachable.load(ordering: .relaxed) }
        set { reachable.store(newValue, ordering: .relaxed) }
    }
}

/// The ways from one event loop to all storage nodes.
final class NodeLinks {
    private let eventLoop: any EventLoop
    private let settings: NodeLinkSettings
    private let log: Logger
    private let target: (NodeSettings) -> DialTarget
    private let health: [String: NodeHealth]
    private var links: [String: NodeLink] = [:]

    init(
        eventLoop: any EventLoop, health: [String: NodeHealth], settings: NodeLinkSettings, log: Logger,
        target: @escaping (NodeSettings) -> DialTarget
    ) {
        self.eventLoop = eventLoop
        self.health = health
        self.settings = settings
        self.log = log
        self.target = target
    }

    subscript(node: NodeSettings) -> NodeLink {
        if let link = links[node.name] { return link }
        let link = NodeLink(
            target: { [target] in target(node) }, health: health[node.name] ?? NodeHealth(), settings: settings,
            eventLoop: eventLoop, log: log)
        links[node.name] = link
        return link
    }

    /// Messages that have no answer yet.
    var load: Int { links.values.reduce(0) { $0 + $1.load } }

    func quit() {
        for link in links.values { link.quit() }
    }
}
