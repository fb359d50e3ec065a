import { expect, test } from 'vitest'
import {
  type ColumnKind,
  columnKind,
  looksLikeCredential,
  partsOf,
  suspect,
} from '../../src/domain/mapping/credentials.ts'

const list = (text: string) => text.trim().split(/\s+/)

/** Columns that must not leave by default, by where they are from. */
const credentials: Record<string, string[]> = {
  'Django, Wagtail, Zulip': list('password api_key otp_secret token key_token email_token one_time_password'),
  'Devise and GitLab': list(`encrypted_password reset_password_token confirmation_token unlock_token
    encrypted_otp_secret encrypted_otp_secret_iv encrypted_otp_secret_salt otp_backup_codes otp_secret
    incoming_email_token feed_token static_object_token runners_token private_token authentication_token rss_token
    password_digest remember_digest reset_digest activation_digest`),
  'Authlogic, Redmine, Mastodon': list(`crypted_password password_salt persistence_token single_access_token
    perishable_token hashed_password salt twofa_totp_key private_key sign_in_token remember_token`),
  Laravel: list(`remember_token two_factor_secret two_factor_recovery_codes api_token stripe_secret`),
  WordPress: list('user_pass user_activation_key session_tokens application_passwords'),
  'Payload, Strapi, Directus, Ghost':
    list(`hash salt resetPasswordToken reset_password_token _verificationToken
    _verificationtoken apiKey api_key api_key_index apikeyindex sessions confirmationToken registrationToken
    tfa_secret auth_data token`),
  'Keycloak, Supabase, SuperTokens': list(`secret_data credential_data recovery_token email_change_token_new
    email_change_token_current phone_change_token reauthentication_token client_secret registration_token`),
  'NextAuth, Better Auth, Lucia': list(`access_token refresh_token id_token accessToken refreshToken idToken
    session_state sessionToken credentialPublicKey oauth_token_secret oauth_token backupCodes hashedPassword`),
  'ASP.NET': list(
    'PasswordHash SecurityStamp ConcurrencyStamp passwordhash securitystamp concurrencystamp RefreshTokens',
  ),
  'Spring, JHipster': list('password_hash activation_key reset_key activationkey resetkey'),
  Odoo: list('password_crypt oauth_access_token totp_secret signup_token new_password'),
  'Drupal, Joomla, phpBB, MediaWiki, vBulletin':
    list(`pass otpKey otep activation user_password user_form_salt
    user_newpasswd user_actkey user_newpassword user_token user_email_token passwordtoken`),
  'Magento, Moodle, Nextcloud': list('rp_token secret password_hash2 backup_password'),
  'Discourse, Mattermost, Rocket.Chat': list(
    'auth_token secure_token MfaSecret AuthData mfasecret authdata mfa_secret',
  ),
  'Gitea, Grafana, Metabase, Superset': list('passwd rands reset_token passwd_salt'),
  'Parse, Meteor, Firebase': list(
    '_hashed_password _session_token _perishable_token _email_verify_token authData',
  ),
  'written by hand':
    list(`pw pwd pw_hash user_pw userpwd pwdhash hashed_pw pass_hash userpass db_pass smtp_pass
    smtp_password passwordhash passphrase passcode accesstoken accessToken refreshtoken apikey APIKey api-key
    apiSecret api_secret appSecret app_key consumer_key consumer_secret clientSecret signing_key encryption_key
    privateKey ssh_key ssh_private_key pgp_private_key aes_key hmac_key master_key secret_key secretkey
    secret_access_key access_key_id service_role_key webhook_secret signature_secret jwt jwt_token id_jwt bearer
    session_id sessionid session_key session_data session_cookie remember_hash login_hash user_hash password2 password_1 old_password
    previous_passwords plain_password temp_password tmp_pass md5_password sha256_pass bcrypt password_bcrypt argon2
    otp otp_code otp_seed totp totp_secret totpsecret hotp_key mfa 2fa_secret tfa_secret twofactor two_factor twoFactorSecret
    two_factor_codes mfa_backup_codes recovery_codes recoveryCodes recoverycode backup_codes scratch_codes
    verification_code confirmation_code activation_code reset_code login_code security_code access_code sms_code
    security_answer secret_answer pin pin_hash card_pin user_pin hashed_pin cvv cvc credentials credential
    user_credentials magic_link magic_link_token one_time_code nonce session_nonce code_verifier srp_verifier
    device_token push_token fcm_token invite_token unsubscribe_token csrf_token connection_string dsn mnemonic
    seed_phrase wallet_private_key webauthn_credentials passkey keystore encrypted_data ssn_encrypted
    enable_a_p_i_key a_p_i_key oauth_refresh_token slack_token stripe_api_key stripe_key github_token smtp_credentials
    auth_key auth_hash auth_code auth_string authentication_string token_hash tokenhash password_hint password_reset pin_number password_one_time`),
  Dutch: list(
    'wachtwoord wachtwoord_hash wachtwoordHash toegangscode geheim geheime_sleutel api_sleutel inlogcode herstelcode',
  ),
  German: list(
    'passwort Passwort passwort_hash kennwort Kennwort_Hash geheimnis privater_schlüssel api_schluessel zugangscode zugangsdaten',
  ),
  French: list('mot_de_passe motdepasse motDePasse mdp mdp_hash clé_api cle_privee jeton_acces code_secret'),
  Spanish: list('contraseña contrasena contrasenia clave clave_api clave_secreta clave_privada clave_acceso'),
  'Portuguese, Italian': list(
    'senha senha_hash chave_api palavra_passe parola parola_chiave_segreta segredo',
  ),
  'other languages':
    list(`lösenord losenord adgangskode passord salasana hasło haslo heslo lozinka geslo jelszó şifre
    sifre parool пароль 密码 パスワード 비밀번호`),
}

test.each(Object.entries(credentials))('%s: credentials are withheld', (_, names) => {
  expect(names.filter(name => !looksLikeCredential(name))).toEqual([])
})

test('the table holds two hundred names', () => {
  expect(new Set(Object.values(credentials).flat()).size).toBeGreaterThan(200)
})

/** Columns that a receiver misses when they are withheld. */
const harmless =
  list(`id uuid name first_name last_name email email_address phone mobile role company_role title
  username login locale timezone language country city street zip postcode postal_code pin_code pincode pinCode
  secure_qr_code normal_qr_code external_id qr_code bar_code country_code currency_code area_code discount_code
  referral_code promo_code tax_code zip_code language_code status_code error_code product_code code codes
  secretary secretariat secretary_name compass passenger passenger_name passengers passport passport_number
  passport_country pass_rate pass_count boarding_pass ski_pass season_pass bypass surpass trespass overpass passive passion
  keyboard keyboard_layout keynote keyword keywords monkey turkey donkey hockey key keys public_key ssh_public_key
  primary_key foreign_key sort_key order_key partition_key key_account key_contact keyhole whiskey
  basalt salted_at desalting salt_level salt_content salt_water salt_free
  token_count token_type token_limit token_balance token_symbol tokenized tokens_used token_usage token_price
  hashtag hash_tag hashtags content_hash file_hash image_hash blurhash blur_hash geohash geo_hash commit_hash
  email_hash tx_hash transaction_hash git_hash rehash hash_rate
  pinned pinned_at pin_color pin_position pin_icon pin_count spinning hairpin shipping opinion pinterest pinterest_url
  author author_data authority author_name authored_by auth_provider auth_type auth_method oauth_provider
  oauth_uid authorized_by session_count session_type session_date training_sessions_attended obsession possession_id
  profession professional_id concession possession sessions_completed
  signature email_signature signed_at contract_signed digest_frequency contact_key contract_code compass_order weekly_digest_enabled weekly_digest email_digest
  mfa_enabled mfa_type two_factor_enabled two_factor_method otp_enabled otp_required has_password is_encrypted
  password_changed_at password_updated_at password_expires_at password_reset_sent_at reset_password_sent_at
  last_password_change_at confirmation_sent_at passwordChangedAt tokenExpiresAt token_valid_until
  secret_santa secrets_count credential_type certificate certificate_number crypto_currency cryptocurrency
  description notes note comment bio about avatar avatar_url website url link created_at updated_at deleted_at
  balance amount price total tax vat_number kvk_number iban bic gender birthday birth_date nationality
  tannery tangent cookie_consent cookies_accepted activated activation_date active archived verified
  verifier_name checksum md5 etag version revision seed tournament_seed salt_lake_city encryption_enabled
  wachttijd wachtlijst geheimhouding_sinds schlusseldienst_name klavier clavier palabra_clave`)

test('columns with harmless names are sent', () => {
  expect(harmless.length).toBeGreaterThan(200)
  expect(harmless.filter(name => looksLikeCredential(name))).toEqual([])
})

test.each<[string, ColumnKind, boolean]>([
  ['password_changed', 'moment', false],
  ['last_password_change', 'moment', false],
  ['reset_token_expiry', 'moment', false],
  ['enable_api_key', 'flag', false],
  ['password', 'flag', false],
  ['two_factor', 'flag', false],
  ['token_version', 'whole number', false],
  ['login_token_uses', 'whole number', false],
  ['password_strength_estimate', 'number', false],
  ['otp_attempts', 'whole number', false],
  ['pin_code', 'whole number', false],
  ['pin', 'whole number', true],
  ['otp', 'whole number', true],
  ['card_pin', 'whole number', true],
  ['security_code', 'whole number', true],
  ['verification_code', 'whole number', true],
  ['country_code', 'whole number', false],
  ['sessions', 'json', true],
  ['raw_user_meta_data', 'json', false],
])('%s, a %s: %s', (name, kind, is) => {
  expect(looksLikeCredential(name, kind)).toBe(is)
})

test('bytes are withheld under any name, also in arrays and domains', () => {
  expect(suspect({ name: 'photo', kind: 'bytes' })).toBe('it holds bytes')
  expect(suspect({ name: 'photo', kind: 'text' })).toBeNull()
  const type = (oid: number, baseOid: number, elementOid: number) => ({
    oid,
    baseOid,
    elementOid,
    delimiter: ',',
  })
  const types = new Map([
    [1001, type(1001, 0, 17)],
    [20000, type(20000, 1184, 0)],
    [20001, type(20001, 20002, 0)],
    [20002, type(20002, 17, 0)],
  ])
  expect(
    [17, 1001, 20000, 20001, 2950, 25, 3802].map(oid => columnKind(oid, each => types.get(each))),
  ).toEqual(['bytes', 'bytes', 'moment', 'bytes', 'text', 'text', 'json'])
})

test.each([
  ['twoFactorSecret', ['two', 'factor', 'secret']],
  ['APIKeyIndex', ['api', 'key', 'index']],
  ['enable_a_p_i_key', ['enable', 'api', 'key']],
  ['password2', ['password']],
  ['Zugangs-Schlüssel', ['zugangs', 'schlussel']],
  ['line 1', ['line']],
])('the name %s has the words %j', (name, parts) => {
  expect(partsOf(name)).toEqual(parts)
})
