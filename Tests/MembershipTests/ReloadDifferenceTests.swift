import Membership
import SMTP
import Testing

@Suite("Reload")
struct ReloadDifferenceTests {
    private let before = Self.configuration()

    private static func configuration(
        _ change: String = "", level: String = "info", port: Int = 2, more: String = ""
    ) -> ClusterConfiguration {
        let text = """
            nodes:
              - {name: a, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:\(port)", telemetry: {logLevel: \(level)}}
              \(more)
            \(change)
            """
        return (try? ClusterConfiguration.parse(text, file: "test.yaml")) ?? ClusterConfiguration()
    }

    @Test("Nothing changed: nothing to do")
    func same() {
        #expect(ReloadDifference(from: before, to: Self.configuration()).isEmpty)
    }

    @Test("Limits, time-outs and log levels are taken at once")
    func live() {
        let after = Self.configuration("smtp: {limits: {recipientsMax: 7}, idleTimeout: 9s}", level: "debug")
        let difference = ReloadDifference(from: before, to: after)
        #expect(
            difference.live == [
                "nodes[a].telemetry.logLevel: info is now debug", "smtp.limits.recipientsMax: 100 is now 7",
                "smtp.idleTimeout: 5m is now 9s",
            ])
        #expect(difference.restart.isEmpty)
        let reloaded = before.reloading(after)
        #expect(reloaded.smtp.limits.recipientsMax == 7)
        #expect(reloaded.smtp.idleTimeout == .seconds(9))
        #expect(reloaded.nodes[0].telemetry.logLevel == .debug)
        #expect(ReloadDifference(from: reloaded, to: after).isEmpty)
    }

    @Test("Another certificate is taken at once; one where there was none, or none, waits for a restart")
    func certificates() throws {
        func configuration(_ tls: String) throws -> ClusterConfiguration {
            try ClusterConfiguration.parse(
                """
                frontends: [{name: f, \(tls)listeners: [{service: smtp, address: "127.0.0.1:9"}]}]
                nodes: [{name: a, lmtp: "127.0.0.1:1", pop3: "127.0.0.1:2"}]
                """, file: "test.yaml")
        }
        let none = try configuration("")
        let old = try configuration("tls: {certificate: /a.pem, key: /a.key}, ")
        let new = try configuration("tls: {certificate: /b.pem, key: /b.key}, ")
        let renewed = ReloadDifference(from: old, to: new)
        #expect(
            renewed.live == [
                "frontends[f].tls.certificate: /a.pem is now /b.pem", "frontends[f].tls.key: /a.key is now /b.key",
            ])
        #expect(renewed.restart.isEmpty)
        #expect(old.reloading(new).frontends[0].tls == new.frontends[0].tls)
        for (before, after) in [(none, old), (old, none)] {
            let difference = ReloadDifference(from: before, to: after)
            #expect(difference.live.isEmpty)
            #expect(difference.restart.count == 2)
            #expect(before.reloading(after).frontends[0].tls == before.frontends[0].tls)
        }
    }

    @Test(
        "Addresses and what is fixed at birth wait for a restart, and reloading leaves them; nodes come and go at once")
    func restart() {
        let after = Self.configuration(
            "cluster: {partitions: 64}\nsmtp: {limits: {errorsMax: 3}}", port: 9,
            more: #"- {name: b, lmtp: "127.0.0.1:3", pop3: "127.0.0.1:4"}"#)
        let difference = ReloadDifference(from: before, to: after)
        #expect(difference.live.contains("smtp.limits.errorsMax: 20 is now 3"))
        #expect(difference.restart.contains("nodes[a].pop3: 127.0.0.1:2 is now 127.0.0.1:9"))
        #expect(difference.live.contains("nodes[b].lmtp: is now 127.0.0.1:3"))
        #expect(difference.restart.contains("cluster.partitions: 4096 is now 64"))
        let reloaded = before.reloading(after)
        #expect(reloaded.nodes == before.nodes + after.nodes.suffix(1))
        #expect(reloaded.cluster == before.cluster)
        #expect(reloaded.smtp.limits.errorsMax == 3)
        #expect(ReloadDifference(from: after, to: before).live.contains("nodes[b].lmtp: is gone (was 127.0.0.1:3)"))
    }
}
