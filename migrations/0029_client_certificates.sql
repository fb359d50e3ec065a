-- A receiver may ask for a client certificate (mutual TLS). Certificate and key lie sealed; what may be shown of the certificate, its
-- subject, fingerprint and end, lies beside them.
alter table walhook.webhooks add column client_identity text check (client_identity like 'v1:%');
alter table walhook.webhooks add column client_certificate jsonb;
alter table walhook.webhooks add check ((client_identity is null) = (client_certificate is null));
