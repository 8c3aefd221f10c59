import CCrypto
import Glibc

/// An X.509 certificate (RFC 5280) in libcrypto's hands.
struct Certificate: ~Copyable {
    let pointer: OpaquePointer

    /// An empty one, version 3, with a random serial number of 128 bits (RFC 5280 §4.1.2.2).
    init() throws(CertificateError) {
        ERR_clear_error()
        guard let certificate = X509_new() else { throw .fromQueue(doing: "making a certificate") }
        guard X509_set_version(certificate, 2) == 1, Self.setSerial(certificate) else {
            X509_free(certificate)
            throw .fromQueue(doing: "making a certificate")
        }
        pointer = certificate
    }

    init(pem: String) throws(CertificateError) {
        ERR_clear_error()
        let bio = try MemoryBIO(pem)
        guard let certificate = PEM_read_bio_X509(bio.pointer, nil, nil, nil) else {
            throw .fromQueue(doing: "reading a certificate")
        }
        pointer = certificate
    }

    private static func setSerial(_ pointer: OpaquePointer) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard RAND_bytes(&bytes, Int32(bytes.count)) == 1 else { return false }
        // Positive, and never shorter, so never zero.
        bytes[0] = bytes[0] & 0x7F | 0x40
        guard let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else { return false }
        defer { BN_free(number) }
        return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(pointer)) != nil
    }

    /// Valid from now on; the beginning is dated back, because the clocks of hosts differ.
    func setValidity(_ validity: Duration, backdated: Duration = .seconds(300)) throws(CertificateError) {
        guard X509_gmtime_adj(X509_getm_notBefore(pointer), -Int(backdated.components.seconds)) != nil,
            X509_gmtime_adj(X509_getm_notAfter(pointer), Int(validity.components.seconds)) != nil
        else { throw .fromQueue(doing: "setting the validity") }
    }

    func setSubject(_ fields: [(type: String, value: String)]) throws(CertificateError) {
        let name = X509_get_subject_name(pointer)
        for field in fields {
            let value = Array(field.value.utf8)
            // MBSTRING_UTF8, a macro with a shift that Swift does not import.
            guard X509_NAME_add_entry_by_txt(name, field.type, 0x1000, value, Int32(value.count), -1, 0) == 1 else {
                throw .fromQueue(doing: "naming a certificate '\(field.value)'")
            }
        }
    }

    /// `value` is in the language of x509v3_config(5); names in it have been checked before.
    func add(_ extensionID: Int32, _ value: String, issuer: OpaquePointer) throws(CertificateError) {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer, pointer, nil, nil, 0)
        guard let made = X509V3_EXT_conf_nid(nil, &context, extensionID, value) else {
            throw .fromQueue(doing: "making the extension '\(value)'")
        }
        defer { X509_EXTENSION_free(made) }
        guard X509_add_ext(pointer, made, -1) == 1 else { throw .fromQueue(doing: "adding an extension") }
    }

    func sign(by key: borrowing PrivateKey) throws(CertificateError) {
        guard X509_sign(pointer, key.pointer, EVP_sha256()) > 0 else { throw .fromQueue(doing: "signing") }
    }

    func pem() throws(CertificateError) -> String {
        ERR_clear_error()
        let bio = try MemoryBIO()
        guard PEM_write_bio_X509(bio.pointer, pointer) == 1 else { throw .fromQueue(doing: "writing a certificate") }
        return bio.text()
    }

    var isAuthority: Bool { X509_check_ca(pointer) == 1 }

    var commonName: String {
        let name = X509_get_subject_name(pointer)
        guard let entry = X509_NAME_get_entry(name, X509_NAME_get_index_by_NID(name, NID_commonName, -1)),
            let value = X509_NAME_ENTRY_get_data(entry), let bytes = ASN1_STRING_get0_data(value)
        else { return "" }
        let count = Int(ASN1_STRING_length(value))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    /// Seconds since 1970.
    var validity: (from: Int64, until: Int64) {
        (Self.seconds(X509_get0_notBefore(pointer)), Self.seconds(X509_get0_notAfter(pointer)))
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64 {
        var parts = tm()
        return ASN1_TIME_to_tm(time, &parts) == 1 ? Int64(timegm(&parts)) : 0
    }

    deinit { X509_free(pointer) }
}
