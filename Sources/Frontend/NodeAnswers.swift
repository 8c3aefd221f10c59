import Cluster
import Hops
import Membership
import NIOCore
import POP3

extension FrontendContext {
    /// What each storage node answers to a short question; nil for one that does not, or refuses.
    func askNodes(_ command: POP3ClientCommand) async -> [String?] {
        let routes = routes
        return await routes.map.nodes.indices.concurrentMap { node in
            await self.ask(command, at: Ring.NodeIndex(node), routes)
        }
    }

    private func ask(_ command: POP3ClientCommand, at node: Ring.NodeIndex, _ routes: NodeRoutes) async -> String? {
        let loop = eventLoop
        let answer: PeerLink.Answer = await withCheckedContinuation { asked in
            loop.execute { [self] in
                let link = PeerLink(
                    target: { routes.pop3Target(node) }, health: NodeHealth(clock: clock.monotonic),
                    timeout: answerTimeout,
                    eventLoop: loop)
                link.ask(command) { answer in
                    asked.resume(returning: answer)
                    link.quit()
                }
            }
        }
        guard case .success(let reply) = answer, reply.isOK else { return nil }
        return reply.text
    }
}
