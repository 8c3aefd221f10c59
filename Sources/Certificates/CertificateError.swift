import CCrypto
package import DurableFiles

/// Why a certificate was not made, read or written.
package enum CertificateError: Error, Hashable, Sendable {
    /// libcrypto refused; the detail is its own.
    case libcrypto(doing: String, detail: String)
    /// A name that cannot stand in a certificate.
    case notADNSName(String)
    case notAnIPAddress(String)
    case notAName(String)
    /// The certificate may not sign others.
    case notAnAuthority(String)
    /// The private key is another certificate's.
    case keyDoesNotFit
    case file(DurableFileError)

    /// Takes libcrypto's errors from its queue.
    static func fromQueue(doing: String) -> CertificateError {
        var details: [String] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { break }
            var buffer = [UInt8](repeating: 0, count: 256)
            buffer.withUnsafeMutableBytes { bytes in
                ERR_error_string_n(code, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
            }
            details.append(String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self))
        }
        return .libcrypto(doing: doing, detail: details.isEmpty ? "no reason given" : details.joined(separator: "; "))
    }
}

extension CertificateError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .libcrypto(let doing, let detail): "\(doing) failed: \(detail)"
        case .notADNSName(let text): "'\(text)' is no DNS name"
        case .notAnIPAddress(let text): "'\(text)' is no IP address"
        case .notAName(let text): "'\(text)' cannot be the name in a certificate: 1 to 64 printable characters can"
        case .notAnAuthority(let name): "the certificate of '\(name)' may not sign others"
        case .keyDoesNotFit: "the private key does not belong to the certificate"
        case .file(let error): "\(error)"
        }
    }
}
