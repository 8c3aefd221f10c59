import Certificates
import Foundation
import Logging
import NIOPosix
import Testing

@testable import Etcd

/// Some members of etcd, and the clients that a test has made of them.
final class EtcdCluster: Sendable {
    let members: [EtcdMember]
    let folder: String

    private init(count: Int, security: Security) throws {
        folder = NSTemporaryDirectory() + "hauberk-etcd-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let (folder, scheme, extra) = (folder, security == .tls ? "https" : "http", security.arguments(folder))
        members = (0..<count).map { EtcdMember(name: "m\($0)", folder: folder, scheme: scheme, extra: extra) }
        if security == .tls { try Self.makeCertificates(folder, addresses: members.map(\.address)) }
    }

    enum Security {
        case none, tls

        func arguments(_ folder: String) -> [String] {
            guard self == .tls else { return [] }
            return [
                "--cert-file", "\(folder)/member.pem", "--key-file", "\(folder)/member.key", "--client-cert-auth",
                "--trusted-ca-file", "\(folder)/ca.pem",
            ]
        }
    }

    /// Gives `body` a cluster that answers, and leaves nothing of it behind.
    static func with(
        members count: Int = 1, security: Security = .none, _ body: (EtcdCluster) async throws -> Void
    ) async throws {
        let cluster = try EtcdCluster(count: count, security: security)
        do {
            for member in cluster.members { try await member.start(cluster: cluster.members) }
            try await cluster.waitUntilItAnswers()
            try await body(cluster)
        } catch {
            await cluster.end()
            throw error
        }
        await cluster.end()
    }

    private func end() async {
        for member in members { await member.kill() }
        try? FileManager.default.removeItem(atPath: folder)
    }

    private func waitUntilItAnswers() async throws {
        for member in members {
            try await client([member]) { client in
                try await eventually("\(member.name) answers") { (try? await client.get(prefix: "/")) != nil }
            }
        }
    }

    /// A client of some members, all without telling.
    @discardableResult
    func client<Result>(
        _ some: [EtcdMember]? = nil, change: (inout EtcdSettings) -> Void = { _ in },
        _ body: (EtcdClient) async throws -> Result
    ) async throws -> Result {
        var settings = EtcdSettings(endpoints: (some ?? members).map(\.endpoint))
        if members[0].endpoint.hasPrefix("https") {
            settings.authority = "\(folder)/ca.pem"
            settings.certificate = "\(folder)/client.pem"
            settings.key = "\(folder)/client.key"
        }
        change(&settings)
        let client = try EtcdClient(
            settings, group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "etcd"))
        let result: Result
        do {
            result = try await body(client)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
        return result
    }

    /// The same with the membership of a cluster `mail`.
    func membership<Result>(_ body: (EtcdMembership) async throws -> Result) async throws -> Result {
        try await client { try await body(EtcdMembership(client: $0, prefix: "/hauberk/mail", log: $0.log)) }
    }

    /// Makes the user `root` with the password `secret`, and asks for users from then on.
    ///
    /// - Parameter more: the name of one more user with that password, and what the keys that it may use begin with.
    func enableUsers(more: (name: String, prefix: String)?) async throws {
        struct User: Encodable {
            let name: String
            let password = "secret"
        }
        struct Role: Encodable { let name: String }
        struct Grant: Encodable {
            let user: String
            let role: String
        }
        struct Permission: Encodable {
            struct Range: Encodable {
                let permType = "READWRITE"
                let key: Data
                let range_end: Data
            }
            let name: String
            let perm: Range
        }
        struct Nothing: Encodable {}
        try await client { client in
            func ask(_ path: String, _ request: some Encodable) async throws {
                let _: HeaderAnswer = try await client.transport.ask("/v3/auth/\(path)", request)
            }
            try await ask("user/add", User(name: "root"))
            try await ask("user/grant", Grant(user: "root", role: "root"))
            if let more {
                let range = EtcdKeyRange(prefix: more.prefix)
                try await ask("role/add", Role(name: more.name))
                try await ask(
                    "role/grant", Permission(name: more.name, perm: .init(key: range.start, range_end: range.end)))
                try await ask("user/add", User(name: more.name))
                try await ask("user/grant", Grant(user: more.name, role: more.name))
            }
            try await ask("enable", Nothing())
        }
    }

    /// The member that the others follow.
    func leader() async throws -> EtcdMember {
        struct Nothing: Encodable {}
        struct Status: Decodable {
            struct Header: Decodable { let member_id: String }
            let header: Header
            let leader: String?
        }
        for _ in 0..<600 {
            for member in members {
                let status: Status? = try await client([member]) {
                    try? await $0.transport.ask("/v3/maintenance/status", Nothing())
                }
                if let status, status.leader == status.header.member_id { return member }
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw TookTooLong(event: "a leader")
    }

    private static func makeCertificates(_ folder: String, addresses: [String]) throws {
        let authority = try CertificateAuthority.make(name: "etcd")
        try authority.files.write(certificate: "\(folder)/ca.pem", key: "\(folder)/ca.key")
        try authority.issue(node: "member", names: CertificateNames(dnsNames: [], ipAddresses: addresses))
            .write(certificate: "\(folder)/member.pem", key: "\(folder)/member.key")
        try authority.issue(node: "client", names: CertificateNames(dnsNames: []))
            .write(certificate: "\(folder)/client.pem", key: "\(folder)/client.key")
    }
}

struct TookTooLong: Error {
    let event: String
}

/// Waits for something that must come; not to be found out of time is all that it asks.
func eventually(_ event: String, _ isThere: () async throws -> Bool) async throws {
    for _ in 0..<1200 {
        if try await isThere() { return }
        try await Task.sleep(for: .milliseconds(100))
    }
    throw TookTooLong(event: event)
}

extension AsyncStream.Iterator where Element: Sendable {
    /// The next element that is what the test waits for.
    mutating func first(_ event: String, where isIt: (Element) -> Bool) async throws -> Element {
        while let element = await next() {
            if isIt(element) { return element }
        }
        throw TookTooLong(event: event)
    }
}
