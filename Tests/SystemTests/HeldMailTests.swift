import Foundation
import Testing

extension SystemTests {
    /// What a provider keeps for a site that dials in: it brings it when the site asks by ETRN (RFC 1985).
    @Suite("Mail that Postfix and Exim hold", .cluster, .enabled(if: PeerServer.isPossible, PeerServer.lacking))
    struct HeldMailTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        /// A domain of its own for each server, so that no other test's accounts are in it.
        private func hold(_ domain: String, at setup: (HeldMail) -> some PeerServerSetup) async throws {
            let account = TestCluster.Account(address: "reader@\(domain)", password: "secret")
            try await cluster.hauberk(["domain", "add", domain])
            try await cluster.add(account, options: [])
            try await PeerServer.run(setup(HeldMail(domain: domain, port: cluster.port(2525)))) { server in
                let message = SystemTests.message(subject: "held")
                let sent = try await Peer.curl.run(
                    [
                        "-sS", "--mail-from", "sender@example.org", "--mail-rcpt", account.address, "-T", "-",
                        "smtp://127.0.0.1:\(server.port)",
                    ], input: Array(message.utf8))
                try #require(sent.status == 0, "\(sent.errors)")
                #expect(try await cluster.messageCount(account) == 0)
                let asked = try await Peer.fetchmail.run(
                    [
                        "-f", "/dev/null", "-v", "-p", "ETRN", "--service", "\(server.port)", "--fetchdomains", domain,
                        "--nodetach", "--sslproto", "", "127.0.0.1",
                    ], environment: ["FETCHMAILHOME": server.folder.path])
                #expect(asked.status == 0, "\(asked.outputText)\(asked.errors)")
                let arrived = try await cluster.waitForMessages(account, 1)
                #expect(arrived[0].hasSuffix("\r\n" + message))
            }
        }

        @Test("fetchmail asks Postfix by ETRN, and Postfix brings the mail to a frontend")
        func postfix() async throws { try await hold("postfix-held.test") { Postfix(held: $0) } }

        @Test("fetchmail asks Exim by ETRN, and Exim brings the mail to a frontend")
        func exim() async throws { try await hold("exim-held.test") { Exim(held: $0) } }
    }
}
