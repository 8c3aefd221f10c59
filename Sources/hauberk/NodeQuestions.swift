import Cluster
import Hops
import Membership
import NIOCore
import POP3
import Wire

/// Asks storage nodes from a command: each over one connection.
final class NodeQuestions: Sendable {
    private let map: ClusterMap
    private let links: PerLoop<[PeerLink]>
    private let loop: any EventLoop

    /// - Parameters:
    ///   - tls: what nodes see; nil if all hops are plain.
    ///   - timeout: how long a node may be silent before it counts as one that does not answer.
    init(
        _ map: ClusterMap, tls: ClientTLS?, connectTimeout: Duration, timeout: Duration, group: any EventLoopGroup
    ) {
        self.map = map
        loop = group.any()
        links = PerLoop(group) { loop in
            map.nodes.map { node in
                PeerLink(
                    target: {
                        DialTarget(
                            endpoint: node.pop3, tls: node.trusted ? nil : tls, certificateName: node.name,
                            timeout: connectTimeout)
                    }, health: NodeHealth(), timeout: timeout, eventLoop: loop)
            }
        }
    }

    /// The text of a node's answer, which must be one line.
    func ask(_ command: POP3ClientCommand, at node: Ring.NodeIndex) async throws(PeerError) -> String {
        let answer: PeerLink.Answer = await withCheckedContinuation { asked in
            loop.execute { [self] in
                links[loop][Int(node)].ask(command) { asked.resume(returning: $0) }
            }
        }
        return try answer.get().text
    }

    func status(of node: Ring.NodeIndex) async throws(PeerError) -> NodeStatus {
        NodeStatus(try await ask(.xstatus(), at: node))
    }

    /// What each node says; nil for one that does not answer.
    func statuses() async -> [NodeStatus?] { await ofEach { try? await self.status(of: $0) } }

    /// How each node stands with a site.
    func statuses(ofSite site: String) async -> [Result<SiteStatus, PeerError>] {
        await ofEach(.xstatus(ofSite: site)) { SiteStatus($0) }
    }

    /// Has each node send what waits for a relay: how many messages it has.
    func flush(relay: String) async -> [Result<Int, PeerError>] {
        await ofEach(.xflush(relay: relay)) { text in text.split(separator: " ").first.flatMap { Int($0) } }
    }

    /// What each node says to an order about a site.
    func order(_ order: SiteOrder, ofSite site: String) async -> [Result<String, PeerError>] {
        await ofEach(.xsite(site, order)) { $0 }
    }

    /// - Parameter read: nil for an answer that is none.
    private func ofEach<Answer: Sendable>(
        _ command: POP3ClientCommand, _ read: @escaping @Sendable (String) -> Answer?
    ) async -> [Result<Answer, PeerError>] {
        await ofEach { node in
            do throws(PeerError) {
                let text = try await self.ask(command, at: node)
                guard let answer = read(text) else {
                    throw .unreachable("the node says \"\(text)\", which is no answer")
                }
                return .success(answer)
            } catch {
                return .failure(error)
            }
        }
    }

    /// Asks all nodes at the same time.
    private func ofEach<Answer: Sendable>(
        _ ask: @escaping @Sendable (Ring.NodeIndex) async -> Answer
    ) async -> [Answer] {
        await map.nodes.indices.concurrentMap { await ask(Ring.NodeIndex($0)) }
    }

    func quit() async { _ = await links.onEach { for link in $0 { link.quit() } } }
}

extension Result {
    var failure: Failure? {
        guard case .failure(let failure) = self else { return nil }
        return failure
    }
}
