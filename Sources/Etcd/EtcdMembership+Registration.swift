import Cluster
import Logging

extension EtcdMembership {
    /// Shows that a process is up, until the task is cancelled: a key with a lease, which is told again three times in
    /// its time, and registered anew after it was lost. At the end the key is removed.
    ///
    /// - Parameter leaseTime: how long the key stays after the process has died.
    package func register(_ name: String, leaseTime: Duration) async {
        let backoff = ReconnectBackoff(first: .milliseconds(200), max: leaseTime / 3)
        var failures = 0
        while !Task.isCancelled {
            do throws(EtcdError) {
                let lease = try await client.grantLease(leaseTime)
                do throws(EtcdError) {
                    try await client.put(key: alivePrefix + name, value: [], lease: lease)
                } catch {
                    await end(lease)
                    throw error
                }
                log.notice("registered with etcd", metadata: ["name": "\(name)"])
                failures = 0
                await hold(lease, every: leaseTime / 3)
                await end(lease)
            } catch {
                failures += 1
                if failures == 1 {
                    log.warning("not registered with etcd", metadata: ["name": "\(name)", "error": "\(error)"])
                }
                try? await Task.sleep(for: backoff.delay(failures: failures, random: .random(in: 0...UInt64.max)))
            }
        }
    }

    /// Until the lease is lost, or the task is cancelled. An etcd that does not answer has not taken the lease yet.
    private func hold(_ lease: EtcdLease, every time: Duration) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: time)
            if Task.isCancelled { return }
            do throws(EtcdError) {
                guard try await client.keepAlive(lease) else {
                    return log.warning("the lease at etcd is over")
                }
            } catch .refused(let code, let message) {
                return log.warning("etcd refused the lease", metadata: ["code": "\(code)", "message": "\(message)"])
            } catch {
                log.debug("the lease was not prolonged", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Takes the key away, though the task may be cancelled. Where that does not succeed soon, the lease's time does it.
    private func end(_ lease: EtcdLease) async {
        _ = await Task { try? await within(.seconds(2)) { try await client.revoke(lease) } }.value
    }
}
