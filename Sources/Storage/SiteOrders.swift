import Cluster
import Hops
import Logging
import Mail
import Maildirs
import Membership
import POP3
import Synchronization

/// Why a node does not do what an operator says about a site.
struct SiteOrderRefusal: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension StorageContext {
    /// Does what an operator says about a site. The answer is in words.
    func carryOut(_ order: SiteOrder, ofSite name: String) async -> Result<String, SiteOrderRefusal> {
        guard sites.peers.contains(where: { $0.name == name }), let target = SpoolTarget(site: name) else {
            return .failure(SiteOrderRefusal("no mail goes to that site"))
        }
        do throws(MaildirError) {
            switch order {
            case .pause, .resume:
                try await setPaused(order == .pause, target)
                return .success(order == .pause ? "paused" : "resumed")
            case .beginSync(let token):
                try await store.beginSync(with: target, token: token)
                return .success("begun")
            case .sync(let partition, let last):
                guard partition < replicator.peers.map.ring.partitions else {
                    return .failure(SiteOrderRefusal("there is no such partition"))
                }
                guard let drain = drain(to: name) else { return .failure(SiteOrderRefusal("the node is starting")) }
                return .success(await SiteSync(drain).step(partition: partition, after: last).text)
            case .endSync(let token):
                try await store.endSync(with: target, token: token)
                return .success("over")
            }
        } catch {
            log.error("site", metadata: ["site": "\(name)", "reason": "\(error)"])
            return .failure(SiteOrderRefusal("\(error)"))
        }
    }

    private func setPaused(_ isPaused: Bool, _ target: SpoolTarget) async throws(MaildirError) {
        try await store.setPaused(isPaused, for: target)
        log.notice(isPaused ? "site paused" : "site resumed", metadata: ["site": "\(target.name)"])
        // The drain's next look begins what waits.
        if isPaused { drain(to: target.name)?.site.isPaused = true }
    }

    /// The way to a site, once it stands.
    func drain(to site: String) -> SiteDrain? { siteDrains.withLock { $0 }.first { $0.target.name == site } }
}
