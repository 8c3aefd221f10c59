import CCrypto

/// An ECDSA key on P-256.
struct PrivateKey: ~Copyable {
    let pointer: OpaquePointer

    init() throws(CertificateError) {
        ERR_clear_error()
        guard let context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else { throw .fromQueue(doing: "making a key") }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1,
            EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1,
            EVP_PKEY_keygen(context, &key) == 1, let key
        else { throw .fromQueue(doing: "making a key") }
        pointer = key
    }

    /// Reads PKCS #8 or SEC 1 PEM. A key with a passphrase is refused: nobody is there to type it.
    init(pem: String) throws(CertificateError) {
        ERR_clear_error()
        let bio = try MemoryBIO(pem)
        let key = PEM_read_bio_PrivateKey(bio.pointer, nil, { _, _, _, _ in -1 }, nil)
        guard let key else { throw .fromQueue(doing: "reading a private key") }
        pointer = key
    }

    /// Reads one that is there, or makes a new one.
    init(existing pem: String?) throws(CertificateError) {
        if let pem { try self.init(pem: pem) } else { try self.init() }
    }

    func pem() throws(CertificateError) -> String {
        ERR_clear_error()
        let bio = try MemoryBIO()
        guard PEM_write_bio_PKCS8PrivateKey(bio.pointer, pointer, nil, nil, 0, nil, nil) == 1 else {
            throw .fromQueue(doing: "writing a private key")
        }
        return bio.text()
    }

    deinit { EVP_PKEY_free(pointer) }
}

/// A buffer that libcrypto reads PEM from or writes it to.
struct MemoryBIO: ~Copyable {
    let pointer: OpaquePointer

    init(_ text: String = "") throws(CertificateError) {
        guard let bio = BIO_new(BIO_s_mem()) else { throw .fromQueue(doing: "making a buffer") }
        let bytes = Array(text.utf8)
        guard bytes.count <= Int32.max, bytes.isEmpty || BIO_write(bio, bytes, Int32(bytes.count)) == bytes.count else {
            BIO_free(bio)
            throw .fromQueue(doing: "filling a buffer")
        }
        pointer = bio
    }

    func text() -> String {
        var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(pointer))
        let count = BIO_read(pointer, &bytes, Int32(bytes.count))
        return String(decoding: bytes.prefix(max(0, Int(count))), as: UTF8.self)
    }

    deinit { BIO_free(pointer) }
}
