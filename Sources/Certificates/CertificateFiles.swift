import DurableFiles

/// A certificate and its private key, as PEM text.
package struct CertificateFiles: Hashable, Sendable {
    package let certificatePEM: String
    package let keyPEM: String

    package init(certificatePEM: String, keyPEM: String) {
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
    }

    /// The key that lies there, for a certificate that does not: whoever was to write both may have been interrupted. Nil if
    /// there is none.
    package static func key(at path: String) throws(CertificateError) -> String? {
        do throws(DurableFileError) {
            return try DurableFile.read(path, bytesMax: keyBytesMax).map { String(decoding: $0, as: UTF8.self) }
        } catch {
            throw .file(error)
        }
    }

    private static let keyBytesMax = 64 << 10

    /// Writes both files, durably; only the owner may read the key.
    ///
    /// - Parameter replacing: whether files that are there already give way; otherwise they are an error, but for this key.
    package func write(
        certificate certificatePath: String, key keyPath: String, replacing: Bool = false
    ) throws(CertificateError) {
        let known = replacing ? nil : try Self.key(at: keyPath)
        let hasKey = known == keyPEM
        do throws(DurableFileError) {
            if !hasKey { try DurableFile.write(keyPEM, to: keyPath, mode: 0o600, replacing: replacing) }
        } catch {
            throw .file(error)
        }
        do throws(DurableFileError) {
            try DurableFile.write(certificatePEM, to: certificatePath, mode: 0o644, replacing: replacing)
        } catch {
            // A certificate that is in the way belongs to another key.
            if !replacing, !hasKey { DurableFile.remove(keyPath) }
            throw .file(error)
        }
    }
}

/// What a certificate says, for a listing and for a warning before it ends.
package struct CertificateSummary: Hashable, Sendable, Codable {
    package let name: String
    package let isAuthority: Bool
    /// Seconds since 1970.
    package let validFrom: Int64
    package let validUntil: Int64

    /// Reads the first certificate of a PEM text.
    package init(pem: String) throws(CertificateError) {
        let certificate = try Certificate(pem: pem)
        name = certificate.commonName
        isAuthority = certificate.isAuthority
        (validFrom, validUntil) = certificate.validity
    }
}
