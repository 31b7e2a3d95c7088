//! Names of Cyrus's options that are not in the registry: nothing here reads them, and nobody needs a warning.

/// Whether Cyrus (3.6 and later) has an option of that name.
pub(super) fn is_cyrus_option(key: &str) -> bool {
    NAMES.split_ascii_whitespace().any(|name| name == key) || since(key).is_some()
}

/// The release with which Cyrus got the option, where that came after 3.6.
pub(super) fn since(key: &str) -> Option<&'static str> {
    NEWER.iter().find(|(name, _)| *name == key).map(|(_, release)| *release)
}

/// By the names that the programs of 3.6.1, 3.10.2 and 3.12.4 know, and for 3.8 the version in its list of options.
const NEWER: &[(&str, &str)] = &[
    ("calendar_minimum_alarm_interval", "3.8"),
    ("debug_log_sync_partial_failures", "a version after 3.12"),
    ("jmapnotificationfolder", "3.8 or 3.10"),
    ("prometheus_master_update_freq", "3.12"),
    ("prometheus_service_update_freq", "3.12"),
    ("prometheus_usage_update_freq", "3.12"),
    ("replicaonly", "3.12"),
    ("search_attachment_extractor_idle_timeout", "3.10"),
    ("search_attachment_extractor_request_timeout", "3.10"),
    ("webdav_attachments_baseurl", "3.8"),
];

const NAMES: &str = "\
    addressbookprefix afspts_localrealms afspts_mycell \
    annotation_callout annotation_callout_disable_append \
    aps_topic aps_topic_caldav aps_topic_carddav \
    autocreate_sieve_compiled_script \
    autocreatequotamsg autoexpunge backup_compact_maxsize \
    backup_compact_minsize backup_compact_work_threshold backup_db backup_db_path backup_keep_previous \
    backup_retention backup_retention_days backup_staging_path boundary_limit caldav_accept_invalid_rrules \
    caldav_allowattach caldav_allowcalendaradmin caldav_allowscheduling caldav_create_attach \
    caldav_create_default caldav_create_sched caldav_historical_age caldav_maxdatetime caldav_mindatetime \
    caldav_realm calendar_component_set calendar_default_displayname calendar_user_address_set calendarprefix \
    carddav_allowaddmember carddav_allowaddressbookadmin carddav_realm carddav_repair_vcard caringo_hostname \
    caringo_port commandmintimer conversations_counted_flags conversations_db conversations_expire_after \
    conversations_expire_days conversations_keep_existing conversations_max_guidexists \
    conversations_max_guidinfolder conversations_max_guidrecords conversations_max_thread dav_lock_timeout \
    dav_realm davdriveprefix davnotificationsprefix debug_writefail_guid defaultsearchtier \
    delete_unsubscribe disconnect_on_vanished_mailbox event_content_inclusion_mode event_content_size \
    event_exclude_flags event_exclude_specialuse event_extra_params event_groups event_notifier \
    fastmailsharing flushseenstate generate_compiled_sieve_script http_h2_altsvc http_jwt_key_dir \
    http_jwt_max_age httpallowcompress httpallowcors httpallowedurls httpallowtrace httpcontentmd5 \
    httpdocroot httpkeepalive httplogheaders httpmodules httpprettytelemetry httptimeout icalendar_max_size \
    ignorereference imipnotifier improved_mboxlist_sort iolog ischedule_dkim_domain ischedule_dkim_key_file \
    ischedule_dkim_required ischedule_dkim_selector jmap_emailsearch_db_path jmap_imagesize_annot \
    jmap_inlinedcids_annot jmap_mail_max_size_attachments_per_email jmap_max_calls_in_request \
    jmap_max_catenate_items jmap_max_concurrent_requests jmap_max_concurrent_upload jmap_max_delayed_send \
    jmap_max_objects_in_get jmap_max_objects_in_set jmap_max_size_blob_set jmap_max_size_request \
    jmap_max_size_upload jmap_nonstandard_extensions jmap_preview_annot jmap_preview_length jmap_pushpoll \
    jmap_querycache_max_age jmap_set_has_attachment jmap_vacation jmappushsubscriptionfolder \
    jmapsubmission_deleteonsend jmapsubmissionfolder jmapuploadfolder ldap_authz ldap_base ldap_bind_dn \
    ldap_ca_dir ldap_ca_file ldap_ciphers ldap_client_cert ldap_client_key ldap_deref ldap_domain_base_dn \
    ldap_domain_filter ldap_domain_name_attribute ldap_domain_result_attribute ldap_domain_scope ldap_filter \
    ldap_group_base ldap_group_filter ldap_group_scope ldap_id ldap_mech ldap_member_attribute \
    ldap_member_base ldap_member_filter ldap_member_method ldap_member_scope ldap_password ldap_realm \
    ldap_referrals ldap_restart ldap_sasl ldap_sasl_authc ldap_sasl_authz ldap_sasl_mech ldap_sasl_password \
    ldap_sasl_realm ldap_scope ldap_servers ldap_size_limit ldap_start_tls ldap_time_limit ldap_timeout \
    ldap_tls_cacert_dir ldap_tls_cacert_file ldap_tls_cert ldap_tls_check_peer ldap_tls_ciphers ldap_tls_key \
    ldap_uri ldap_user_attribute ldap_verify_peer ldap_version lmtp_preparse \
    lock_debugtime logtimestamps mailbox_initial_flags mailbox_legacy_dirs mailbox_maxmessages_addressbook \
    mailbox_maxmessages_calendar mailbox_maxmessages_email maxargssize maxheaderlines mboxkey_db \
    netscapeurl \
    notesmailbox notify_external object_storage_dummy_spool object_storage_enabled openio_account \
    openio_autocreate openio_namespace openio_proxy_timeout openio_rawx_timeout openio_verbosity postspec \
    prometheus_need_auth ptloader_sock \
    pts_module ptscache_db ptscache_db_path ptscache_timeout ptskrb5_convert524 ptskrb5_strip_default_realm \
    quota_use_conversations readonly restore_authname restore_password restore_realm \
    reverseuniqueids rfc2046_strict rfc2047_utf8 rss_feedlist_template rss_feeds rss_maxage \
    rss_maxitems rss_maxsynopsis rss_realm search_attachment_extractor_url search_batchsize \
    search_fuzzy_always search_index_headers search_index_language search_index_parts \
    search_index_skip_domains search_index_skip_users search_indexed_db search_maxsize \
    search_normalisation_max search_query_language search_queryscan search_skipdiacrit search_skiphtml \
    search_snippet_length search_stopword_path search_whitespace seenstate_db \
    sieve_sasl_send_unsolicited_capability \
    skiplist_always_checkpoint skiplist_unsafe \
    sortcache_db sql_database \
    sql_engine sql_hostnames sql_passwd sql_user sql_usessl \
    srvtab sync_authname sync_batchsize sync_cache_db sync_cache_db_path sync_host \
    sync_log sync_log_chain sync_log_channels sync_log_unsuppressable_channels sync_password sync_port \
    sync_realm sync_reconnect_maxwait sync_repeat_interval sync_rightnow_channel sync_shutdown_file \
    sync_timeout sync_try_imap tls_server_dhparam tlscache_db tlscache_db_path uidl_format vcard_max_size \
    virusscan_notification_subject virusscan_notification_template websocket_timeout xbackup_enabled \
    zoneinfo_db zoneinfo_db_path zoneinfo_dir";
