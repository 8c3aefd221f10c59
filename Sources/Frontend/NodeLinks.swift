import Logging
import Membership
import NIOCore
import Wire

/// The ways from one event loop to all storage nodes.
final class NodeLinks {
    private let eventLoop: any EventLoop
    private let settings: NodeLinkSettings
    private let log: Logger
    private let target: (NodeSettings) -> DialTarget
    private var links: [String: NodeLink] = [:]

    init(
        eventLoop: any EventLoop, settings: NodeLinkSettings, log: Logger,
        target: @escaping (NodeSettings) -> DialTarget
    ) {
        self.eventLoop = eventLoop
        self.settings = settings
        self.log = log
        self.target = target
    }

    subscript(node: NodeSettings) -> NodeLink {
        if let link = links[node.name] { return link }
        let link = NodeLink(target: { [target] in target(node) }, settings: settings, eventLoop: eventLoop, log: log)
        links[node.name] = link
        return link
    }

    /// Messages that have no answer yet.
    var load: Int { links.values.reduce(0) { $0 + $1.load } }

    func quit() {
        for link in links.values { link.quit() }
    }
}
