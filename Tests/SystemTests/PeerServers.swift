/// Postfix. Bytes stay as they are, other than in a header that is none: a line `From ` on top gets a name.
struct Postfix: PeerServerSetup {
    var held: HeldMail?

    var peer: Peer { .postfix }
    var command: [String] { ["postfix", "start-fg"] }

    func files(port: Int) -> [String: String] {
        ["postfix/main.cf": main, "postfix/master.cf": services(port: port)]
    }

    private var main: String {
        var lines = """
            compatibility_level = 3.6
            queue_directory = /peer/queue
            data_directory = /peer/postfix
            maillog_file = /peer/log
            maillog_file_prefixes = /peer
            myhostname = postfix.test
            mydestination =
            alias_maps =
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            mynetworks = 127.0.0.0/8
            virtual_mailbox_domains = example.test
            virtual_mailbox_base = /peer/reader
            virtual_mailbox_maps = static:Maildir/
            virtual_uid_maps = static:60105
            virtual_gid_maps = static:60105
            virtual_mailbox_limit = 0
            message_size_limit = 104857600
            header_size_limit = 1048576
            local_header_rewrite_clients =
            message_drop_headers =

            """
        if let held {
            lines += """
                relay_domains = \(held.domain)
                fast_flush_domains = \(held.domain)
                transport_maps = inline:{{\(held.domain)=held:[127.0.0.1]:\(held.port)}}
                defer_transports = held

                """
        }
        return lines
    }

    private func services(port: Int) -> String {
        """
        127.0.0.1:\(port) inet n - n - - smtpd
        pickup unix n - n 60 1 pickup
        cleanup unix n - n - 0 cleanup
        qmgr unix n - n 300 1 qmgr
        rewrite unix - - n - - trivial-rewrite
        bounce unix - - n - 0 bounce
        defer unix - - n - 0 bounce
        trace unix - - n - 0 bounce
        verify unix - - n - 1 verify
        flush unix n - n 1000? 0 flush
        proxymap unix - - n - - proxymap
        smtp unix - - n - - smtp
        held unix - - n - - smtp
        showq unix n - n - - showq
        error unix - - n - - error
        retry unix - - n - - error
        virtual unix - n n - - virtual
        anvil unix - - n - 1 anvil
        scache unix - - n - 1 scache
        postlog unix-dgram n - n - 1 postlogd

        """
    }
}

/// Exim. Bytes stay as they are, other than in a header that is none: an empty line is put before what does not belong there.
struct Exim: PeerServerSetup {
    var held: HeldMail?

    var peer: Peer { .exim }
    // Without a queue runner: what is held goes when it is asked for, everything else at once.
    var command: [String] { ["exim4", "-bdf"] }

    func files(port: Int) -> [String: String] { ["exim4/exim4.conf": configuration(port: port)] }

    private func configuration(port: Int) -> String {
        """
        primary_hostname = exim.test
        spool_directory = /peer/Debian-exim/spool
        log_file_path = /peer/Debian-exim/%slog
        local_interfaces = 127.0.0.1
        daemon_smtp_ports = \(port)
        keep_environment =
        host_lookup =
        tls_advertise_hosts =
        smtputf8_advertise_hosts = *
        message_size_limit = 100M
        smtp_accept_max = 100
        smtp_accept_max_per_connection = 0
        smtp_accept_queue_per_connection = 0
        return_path_remove = false
        envelope_to_remove = false
        delivery_date_remove = false
        acl_smtp_rcpt = take
        acl_smtp_data = take
        \(heldSettings)
        begin acl
        take:
          accept

        begin routers
        \(heldRouter)
        all:
          driver = accept
          transport = maildir

        begin transports
        \(heldTransport)
        maildir:
          driver = appendfile
          maildir_format
          directory = /peer/reader/Maildir
          create_directory
          user = reader
          return_path_add
          envelope_to_add

        """
    }

    // What a client says is tainted, and no argument of a command: only the domain's own text is.
    private var heldSettings: String {
        guard let held else { return "" }
        return """
            acl_smtp_etrn = take
            queue_smtp_domains = \(held.domain)
            smtp_etrn_command = /usr/sbin/exim4 -R "${if eq{$domain}{\(held.domain)}{\(held.domain)}fail}"

            """
    }

    private var heldRouter: String {
        guard let held else { return "" }
        return """
            held:
              driver = manualroute
              domains = \(held.domain)
              route_list = * 127.0.0.1 byname
              transport = held
              self = send
              no_more

            """
    }

    private var heldTransport: String {
        guard let held else { return "" }
        return """
            held:
              driver = smtp
              port = \(held.port)
              allow_localhost
              hosts_avoid_tls = *

            """
    }
}

/// OpenSMTPD. It offers neither PIPELINING nor CHUNKING nor ETRN, refuses headers that are none (550 5.7.1), and adds Date
/// and Message-ID to what comes from this machine without them.
struct OpenSMTPD: PeerServerSetup {
    var peer: Peer { .opensmtpd }
    var command: [String] { ["smtpd", "-d"] }

    func files(port: Int) -> [String: String] {
        [
            "smtpd.conf": """
            smtp limit max-mails 100000
            smtp max-message-size "100M"
            listen on 127.0.0.1 port \(port) hostname opensmtpd.test
            action "keep" maildir "/peer/reader/Maildir" virtual { "@" = reader }
            match from any for domain "example.test" action "keep"

            """
        ]
    }
}

/// Dovecot, which takes mail by LMTP alone.
struct Dovecot: PeerServerSetup {
    var peer: Peer { .dovecot }
    var command: [String] { ["dovecot", "-F"] }
    var mailProtocol: String { "lmtp" }

    func files(port: Int) -> [String: String] {
        [
            "dovecot/dovecot.conf": """
            protocols = lmtp
            base_dir = /peer/dovecot/run
            log_path = /peer/log
            hostname = dovecot.test
            ssl = no
            mail_location = maildir:/peer/reader/Maildir
            passdb {
              driver = static
              args = nopassword=y
            }
            userdb {
              driver = static
              args = uid=reader gid=reader home=/peer/reader allow_all_users=yes
            }
            service lmtp {
              inet_listener lmtp {
                address = 127.0.0.1
                port = \(port)
              }
            }

            """
        ]
    }
}
