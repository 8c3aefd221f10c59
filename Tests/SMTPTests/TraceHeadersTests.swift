import Mail
import SMTP
import Testing

@Suite("Trace headers")
struct TraceHeadersTests {
    private let identity = MessageIdentity(
        seconds: 1_795_372_481, micros: 5, process: 7, counter: 3, random: 0xABC, origin: "front")

    private func received(_ trace: SMTPTrace, recipient: EmailAddress? = nil) -> String {
        TraceHeaders.received(
            trace, hostname: "mx.example.test", identity: identity, seconds: 1_795_372_481, recipient: recipient
        ).text
    }

    @Test("RFC 5321 §4.4: from, by, with, id, for and the date")
    func whole() {
        let tls = SMTPTLS(version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384")
        let peer = SMTPPeer(address: "192.0.2.1", hostName: "host.example", tls: tls)
        let trace = SMTPTrace(clientName: "client.example", peer: peer, transmission: "ESMTPS")
        #expect(
            received(trace, recipient: EmailAddress("alice@example.test")) == """
                Received: from client.example (host.example [192.0.2.1])\r
                \t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r
                \tby mx.example.test with ESMTPS\r
                \tid 1795372481.M5P7Q3Rabc.front\r
                \tfor <alice@example.test>;\r
                \tSun, 22 Nov 2026 18:34:41 +0000\r\n
                """)
    }

    @Test("RFC 5321 §4.1.3: an IPv6 address is a literal with its tag, a Unix socket has no address")
    func addresses() {
        let six = SMTPTrace(clientName: "c", peer: SMTPPeer(address: "2001:db8::1"), transmission: "ESMTP")
        #expect(received(six).hasPrefix("Received: from c ([IPv6:2001:db8::1])\r\n\tby"))
        let local = SMTPTrace(clientName: "c", peer: SMTPPeer(address: ""), transmission: "LMTP")
        #expect(received(local).hasPrefix("Received: from c\r\n\tby"))
    }

    @Test("RFC 5322 §2.2.3: a header's end comes before a text that would be folded into the field on top of it")
    func separator() {
        var findings = HeaderScanner.Findings()
        #expect(TraceHeaders.separator(findings) == [])
        findings.beginsWithBlank = true
        #expect(TraceHeaders.separator(findings).text == "\r\n")
    }

    @Test("Nothing that a peer says adds a field, and no line passes 998 octets")
    func hostile() {
        let evil = String(repeating: "a\r\nBcc: (x) <y>;\u{0}ü", count: 200)
        let tls = SMTPTLS(version: evil, cipher: evil)
        let trace = SMTPTrace(
            clientName: evil, peer: SMTPPeer(address: evil, hostName: evil, tls: tls), transmission: "ESMTP")
        let text = received(trace, recipient: EmailAddress(local: evil, domain: evil))
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.first?.hasPrefix("Received: ") == true)
        #expect(lines.dropFirst().allSatisfy { $0.hasPrefix("\t") })
        #expect(
            lines.allSatisfy { $0.utf8.count <= 998 && $0.utf8.allSatisfy { $0 == 9 || (0x20...0x7E).contains($0) } })
    }

    @Test("RFC 5321 §4.4: Return-Path and Delivered-To are one line each")
    func others() {
        let alice = EmailAddress(local: "alice", domain: "C.d")
        #expect(TraceHeaders.delivery(from: .null, to: alice).text == "Return-Path: <>\nDelivered-To: alice@c.d\n")
        #expect(TraceHeaders.delivery(from: .null, to: nil).text == "Return-Path: <>\n")
        let evil = EmailAddress(local: "a b\r\nX: y", domain: "c")
        #expect(
            TraceHeaders.delivery(from: .address(evil), to: evil).text
                == "Return-Path: <\"a bX: y\"@c>\nDelivered-To: \"a bX: y\"@c\n")
    }

    @Test(
        "RFC 5322 §3.3: dates",
        arguments: [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 +0000"), (951_868_800, "Wed, 1 Mar 2000 00:00:00 +0000"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 +0000"), (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"), (-1, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (Int64.max, "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] as [(Int64, String)])
    func dates(_ seconds: Int64, _ text: String) {
        #expect(TraceHeaders.date(seconds) == text)
    }
}
