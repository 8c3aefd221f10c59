import Foundation

/// Python's ssl as a client that shows any certificate, or none, and tells what it was answered.
struct TLSPeer {
    var port: Int
    /// Paths of certificate and key.
    var identity: (certificate: String, key: String)?
    /// Goes out in front of TLS.
    var before: [UInt8] = []

    private static let script = """
        import socket, ssl, sys
        port, certificate, key, before, words = sys.argv[1:]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate, key)
        answers = b""
        try:
            raw = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
            raw.sendall(bytes.fromhex(before))
            session = context.wrap_socket(raw)
            print(ssl.DER_cert_to_PEM_cert(session.getpeercert(True)), file=sys.stderr)
            for word in words.split("|"):
                greeting = session.recv(65536)
                answers += greeting
                if not greeting:
                    break
                session.sendall(word.encode())
            while True:
                piece = session.recv(65536)
                if not piece:
                    break
                answers += piece
        except (OSError, ssl.SSLError) as error:
            print(type(error).__name__, error, file=sys.stderr)
        sys.stdout.buffer.write(answers)
        """

    /// Says `words`, each part (up to `|`) when something has come, and reads to the end. The output is what came; the
    /// errors have the server's certificate.
    func say(_ words: String) async throws -> Program.Outcome {
        try await Tree.python([
            "-c", Self.script, "\(port)", identity?.certificate ?? "", identity?.key ?? "",
            before.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(), words,
        ])
    }
}
