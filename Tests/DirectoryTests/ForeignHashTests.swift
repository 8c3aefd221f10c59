import Directory
import Mail
import SASL
import Testing

@Suite struct ForeignHashTests {
    /// crypt(3) of "secret", as Dovecot's `doveadm pw` gives it.
    private static let hashes = [
        "{SHA512-CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
        "{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
        "{CRYPT}$y$j75$saltsalt$0gBD67sgmJgRX3RZ6wHHO7sHimQEWGCWN85o4Twogh2",
    ]

    @Test(
        "A hash that another server made lets its user log in with the password it was made of", arguments: hashes)
    func migrated(text: String) async throws {
        let site = try await Site.withAccounts()
        let hash = try #require(ForeignHash(text))
        let (carol, alice) = (try address("carol@example.test"), try address("alice@example.test"))
        try await site.administration.addAccount(carol, hash: hash)
        try await site.administration.setHash(alice, hash)
        for user in [carol, alice] {
            let right = try await site.frontend.answer(.password(user: user.description, password: "secret"))
            guard case .user = right else {
                Issue.record("\(right)")
                continue
            }
            let wrong = try await site.frontend.answer(.password(user: user.description, password: "secre"))
            guard case .rejected = wrong else {
                Issue.record("\(wrong)")
                continue
            }
            let row = try await site.administration.showAccount(user)
            #expect(!row.scram && !row.apop)
        }
    }

    @Test("What libcrypt cannot verify, or is not whole, is no hash")
    func refused() {
        let whole = String(Self.hashes[0].dropFirst(14))
        for text in [
            "", "secret", "{PLAIN}secret", "{SSHA256}abcd", "abJnggxhB/yWI", "$6$saltsalt$", "$6$saltsalt",
            String(whole.dropLast()), whole + "a", "\(whole.dropLast())!", "$9$saltsalt$abc", "$2y$10$short",
            "$y$j9T$a$b",
        ] {
            #expect(ForeignHash(text) == nil, "\(text)")
        }
        #expect(ForeignHash(whole) != nil)
    }
}
