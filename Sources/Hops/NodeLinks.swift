package import Cluster
package import Logging
package import NIOCore
package import Wire

/// The ways from one event loop to all storage nodes.
package final class NodeLinks {
    private let eventLoop: any EventLoop
    private let settings: NodeLinkSettings
    private let log: Logger
    private let target: (Ring.NodeIndex) -> DialTarget
    private let health: [NodeHealth]
    private var links: [NodeLink?]

    /// - Parameters:
    ///   - health: of each node, shared with the other event loops.
    ///   - target: where a node takes LMTP; asked for each connection.
    package init(
        eventLoop: any EventLoop, health: [NodeHealth], settings: NodeLinkSettings, log: Logger,
        target: @escaping (Ring.NodeIndex) -> DialTarget
    ) {
        self.eventLoop = eventLoop
        self.health = health
        self.settings = settings
        self.log = log
        self.target = target
        links = Array(repeating: nil, count: health.count)
    }

    package subscript(node: Ring.NodeIndex) -> NodeLink {
        if let link = links[Int(node)] { return link }
        let link = NodeLink(
            target: { [target] in target(node) }, health: health[Int(node)], settings: settings, eventLoop: eventLoop,
            log: log)
        links[Int(node)] = link
        return link
    }

    /// Messages that have no answer yet.
    package var load: Int { links.reduce(0) { $0 + ($1?.load ?? 0) } }

    package func quit() {
        for link in links { link?.quit() }
    }
}
