import Certificates
import DurableFiles
import Foundation
import NIOSSL
import Testing

/// A folder that is gone when the test is.
final class Folder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "certificates-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// Runs `openssl`; its output, and whether it said yes.
func openssl(_ arguments: String...) throws -> (isYes: Bool, output: String) {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus == 0, String(decoding: output, as: UTF8.self))
}

@Suite(.timeLimit(.minutes(5))) struct CertificateAuthorityTests {
    @Test(
        "Who was interrupted between the key and the certificate goes on with that key; another one is not overwritten")
    func interrupted() throws {
        let folder = try Folder()
        let authority = try CertificateAuthority.make(name: "test cluster")
        let (certificate, key) = (folder.file("store.pem"), folder.file("store.key"))
        let first = try authority.issue(node: "store-1", names: CertificateNames(dnsNames: []))
        try first.keyPEM.write(toFile: key, atomically: true, encoding: .utf8)
        #expect(throws: CertificateError.self) {
            try authority.issue(node: "store-1", names: CertificateNames(dnsNames: []))
                .write(certificate: certificate, key: key)
        }
        #expect(try CertificateFiles.key(at: key) == first.keyPEM)
        let second = try authority.issue(
            node: "store-1", names: CertificateNames(dnsNames: []), keyPEM: CertificateFiles.key(at: key))
        try second.write(certificate: certificate, key: key)
        #expect(try CertificateFiles.key(at: key) == first.keyPEM)
        #expect(try NIOSSLCertificate.fromPEMFile(certificate).count == 1)
        #expect(throws: CertificateError.self) { try second.write(certificate: certificate, key: key) }
        #expect(try CertificateFiles.key(at: key) == first.keyPEM)
    }

    @Test("A node's certificate verifies against the authority, as server and as client, by OpenSSL's own judgement")
    func opensslAccepts() throws {
        let folder = try Folder()
        let authority = try CertificateAuthority.make(name: "test cluster")
        let node = try authority.issue(
            node: "store-1",
            names: CertificateNames(dnsNames: ["store-1.example.test"], ipAddresses: ["127.0.0.1", "::1"]),
            roles: ["storage"])
        try authority.files.write(certificate: folder.file("ca.pem"), key: folder.file("ca.key"))
        try node.write(certificate: folder.file("node.pem"), key: folder.file("node.key"))
        for purpose in ["sslserver", "sslclient"] {
            let verdict = try openssl(
                "verify", "-x509_strict", "-purpose", purpose, "-CAfile", folder.file("ca.pem"), folder.file("node.pem")
            )
            #expect(verdict.isYes, "\(verdict.output)")
        }
        let text = try openssl("x509", "-in", folder.file("node.pem"), "-noout", "-text").output
        for part in [
            "DNS:store-1,", "DNS:store-1.example.test", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1",
            "OU = storage, CN = store-1", "TLS Web Server Authentication, TLS Web Client Authentication",
            "Digital Signature", "CA:FALSE", "Authority Key Identifier", "Subject Key Identifier", "prime256v1",
        ] {
            #expect(text.contains(part), "\(part) is missing in \(text)")
        }
    }

    @Test("A node's certificate cannot sign another node's")
    func noFurtherAuthority() throws {
        let authority = try CertificateAuthority.make(name: "test cluster")
        let node = try authority.issue(node: "store-1", names: CertificateNames(dnsNames: []))
        #expect(throws: CertificateError.notAnAuthority("store-1")) { try CertificateAuthority(node) }
    }

    @Test("RFC 5280 §4.1.2.2: every serial number is positive, of 128 bits, and new")
    func serials() throws {
        let folder = try Folder()
        let authority = try CertificateAuthority.make(name: "test cluster")
        var serials: Set<String> = []
        for number in 0..<8 {
            let node = try authority.issue(node: "n\(number)", names: CertificateNames(dnsNames: []))
            try node.write(certificate: folder.file("c"), key: folder.file("k"), replacing: true)
            let serial = try openssl("x509", "-in", folder.file("c"), "-noout", "-serial").output
            #expect(serial.trimmingCharacters(in: .newlines).count == "serial=".count + 32, "\(serial)")
            serials.insert(serial)
        }
        #expect(serials.count == 8)
    }

    @Test("swift-nio-ssl takes the authority, the certificate and the key, and verifies in a handshake's contexts")
    func nioAccepts() throws {
        let authority = try CertificateAuthority.make(name: "test cluster")
        let node = try authority.issue(node: "store-1", names: CertificateNames(dnsNames: ["localhost"]))
        for files in [node, try CertificateAuthority.selfSigned(names: CertificateNames(dnsNames: ["localhost"]))] {
            let certificate = try NIOSSLCertificate(bytes: Array(files.certificatePEM.utf8), format: .pem)
            let key = try NIOSSLPrivateKey(bytes: Array(files.keyPEM.utf8), format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: [.certificate(certificate)], privateKey: .privateKey(key))
            configuration.trustRoots = .certificates([
                try NIOSSLCertificate(bytes: Array(authority.files.certificatePEM.utf8), format: .pem)
            ])
            configuration.certificateVerification = .noHostnameVerification
            #expect(throws: Never.self) { try NIOSSLContext(configuration: configuration) }
        }
    }

    @Test("An authority is read back from its files, and signs on")
    func readBack() throws {
        let made = try CertificateAuthority.make(name: "test cluster")
        let read = try CertificateAuthority(made.files)
        #expect(read.name == "test cluster")
        let node = try read.issue(node: "store-1", names: CertificateNames(dnsNames: []))
        let summary = try CertificateSummary(pem: node.certificatePEM)
        #expect(summary.name == "store-1")
        #expect(!summary.isAuthority)
        #expect(try CertificateSummary(pem: made.files.certificatePEM).isAuthority)
    }

    @Test("The beginning of validity is five minutes back, for the clocks of other hosts")
    func backdated() throws {
        let files = try CertificateAuthority.selfSigned(
            names: CertificateNames(dnsNames: ["localhost"]), validity: .seconds(86400))
        let summary = try CertificateSummary(pem: files.certificatePEM)
        #expect((86400 + 300 - 1...86400 + 300 + 1).contains(summary.validUntil - summary.validFrom))
    }

    @Test("A key of another certificate, a passphrase, or no PEM at all is an error with words")
    func wrongFiles() throws {
        let first = try CertificateAuthority.make(name: "first").files
        let second = try CertificateAuthority.make(name: "second").files
        let mixed = CertificateFiles(certificatePEM: first.certificatePEM, keyPEM: second.keyPEM)
        #expect(throws: CertificateError.keyDoesNotFit) { try CertificateAuthority(mixed) }
        let noPEM = CertificateFiles(certificatePEM: "hello", keyPEM: second.keyPEM)
        let error = #expect(throws: CertificateError.self) { try CertificateAuthority(noPEM) }
        #expect(error.map { "\($0)" }?.contains("reading a certificate failed") == true)
        let folder = try Folder()
        try first.write(certificate: folder.file("c"), key: folder.file("k"))
        #expect(
            try openssl(
                "pkey", "-in", folder.file("k"), "-aes128", "-passout", "pass:secret", "-out", folder.file("locked")
            ).isYes)
        let locked = try String(contentsOfFile: folder.file("locked"), encoding: .utf8)
        let lockedFiles = CertificateFiles(certificatePEM: first.certificatePEM, keyPEM: locked)
        #expect(throws: CertificateError.self) { try CertificateAuthority(lockedFiles) }
    }

    @Test(
        "A name that could add something else to the certificate is refused",
        arguments: ["a,IP:127.0.0.1", "", "a b", "a..b", "*", "a.*.b", "x\ny", String(repeating: "a", count: 64)])
    func badNames(name: String) {
        #expect(throws: CertificateError.notADNSName(name)) { try CertificateNames(dnsNames: [name]) }
    }

    @Test("An address that is none is refused", arguments: ["", "1.2.3", "127.0.0.1,DNS:a", "::g", "localhost"])
    func badAddresses(address: String) {
        #expect(throws: CertificateError.notAnIPAddress(address)) {
            try CertificateNames(dnsNames: [], ipAddresses: [address])
        }
    }

    @Test("A node's name has 1 to 64 printable characters", arguments: ["", "a\nb", String(repeating: "a", count: 65)])
    func badNodeNames(name: String) throws {
        let authority = try CertificateAuthority.make(name: "test cluster")
        #expect(throws: CertificateError.notAName(name)) {
            try authority.issue(node: name, names: CertificateNames(dnsNames: []))
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct CertificateFilesTests {
    @Test("Only the owner may read a key, and nothing is left behind")
    func modes() throws {
        let folder = try Folder()
        let files = CertificateFiles(certificatePEM: "certificate", keyPEM: "key")
        try files.write(certificate: folder.file("c"), key: folder.file("k"))
        let mode = try FileManager.default.attributesOfItem(atPath: folder.file("k"))[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["c", "k"])
        #expect(try String(contentsOfFile: folder.file("k"), encoding: .utf8) == "key")
    }

    @Test("Files that are there stay, unless they are to be replaced")
    func replacing() throws {
        let folder = try Folder()
        let old = CertificateFiles(certificatePEM: "old", keyPEM: "old")
        let new = CertificateFiles(certificatePEM: "new", keyPEM: "new")
        try old.write(certificate: folder.file("c"), key: folder.file("k"))
        #expect(throws: CertificateError.file(DurableFileError(path: folder.file("k"), doing: "create", code: EEXIST)))
        {
            try new.write(certificate: folder.file("c"), key: folder.file("k"))
        }
        #expect(try String(contentsOfFile: folder.file("k"), encoding: .utf8) == "old")
        try new.write(certificate: folder.file("c"), key: folder.file("k"), replacing: true)
        #expect(try String(contentsOfFile: folder.file("k"), encoding: .utf8) == "new")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["c", "k"])
    }

    @Test("A key whose certificate cannot be written goes again")
    func halfWritten() throws {
        let folder = try Folder()
        try "old".write(toFile: folder.file("c"), atomically: true, encoding: .utf8)
        let new = CertificateFiles(certificatePEM: "new", keyPEM: "new")
        #expect(throws: CertificateError.file(DurableFileError(path: folder.file("c"), doing: "create", code: EEXIST)))
        {
            try new.write(certificate: folder.file("c"), key: folder.file("k"))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["c"])
    }

    @Test("A folder that is not there is named in the error")
    func noFolder() throws {
        let folder = try Folder()
        let files = CertificateFiles(certificatePEM: "certificate", keyPEM: "key")
        let error = #expect(throws: CertificateError.self) {
            try files.write(certificate: folder.file("none/c"), key: folder.file("none/k"))
        }
        #expect(error.map { "\($0)" }?.contains("none/k") == true)
        #expect(error.map { "\($0)" }?.contains("No such file or directory") == true)
    }
}
