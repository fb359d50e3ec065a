/** The word lists of `credentials.ts`, in lower case and without accents. */

const list = (text: string) => text.trim().split(/\s+/)

/** Words for a password or an access key, anywhere in a name, also inside a longer word. */
export const anywhere = list(`
  password passwd passphrase passcode apikey apisecret secretkey privatekey privkey accesskey
  signingkey encryptionkey encryptkey sharedsecret clientsecret recoverycode backupcode scratchcode
  securitystamp concurrencystamp securityanswer secretanswer onetimecode connectionstring seedphrase
  mnemonic accesstoken refreshtoken resettoken sessiontoken authtoken remembertoken bearertoken
  totpsecret otpsecret pwdhash passhash hashedpw wachtwoord wachtzin toegangscode herstelcode
  geheimesleutel inlogcode passwort kennwort losungswort zugangscode zugangsdaten geheimnis schlusselwort
  motdepasse motpasse codesecret cleprivee clesecrete phrasesecrete contrasen contrasena
  clavesecreta claveprivada claveapi clavedeacceso claveacceso palavrapasse chaveapi chaveprivada
  chavesecreta codigoseguridad parolachiave parolasegreta chiaveapi chiaveprivata chiavesegreta losenord
  adgangskode lykilord salasana slaptazodis jelszo katasandi lozinka zaporka matkhau пароль
  ключдоступа 密码 密碼 口令 パスワード 暗証番号 비밀번호 รหัสผ่าน
`)

/** Words for a credential, as a whole part of a name. */
export const parts = new Set(
  list(`
  secret secrets token tokens pwd pw psw pswd passw passwrd psswd jwt bearer otp totp hotp otep nonce cvv
  cvc cvv2 rands pem p12 pfx bcrypt argon2 argon2id scrypt pbkdf2 hmac crypt crypted encrypted ciphertext
  credential credentials creds passkeys keystore dsn geheim schlussel schluessel sleutel mdp jeton senha
  senhas parola haslo heslo geslo parool sifre sifra sandi losen tajemstvi sekret sekretny segreto segredo
  secreto parolalar passord passkey actkey actcode cleapi
`),
)

/** Ends of a word that Postgres folded to lower case: `mfasecret`, `verificationtoken`, `tokenhash`. */
export const partEnd = /(token|secret|pwd|credential)(s|hash|hashed|salt|value|data)?$/
/** Beginnings of such a word. */
export const partStarts = list(`
  pwd encrypted crypted totp hotp otpkey otpcode credential jwt
`)

/** Words that make `…_key` a credential, in several languages. */
export const keyWords = new Set(
  list(`
  key keys sleutel schlussel schluessel cle clave chave
`),
)
export const keyOf = new Set(
  list(`
  api app application access auth private secret signing sign signature encryption encrypt enc decryption
  crypto master session activation act reset confirm confirmation verification verify validation otp totp
  mfa twofa 2fa hmac ssh rsa aes pgp gpg remember recovery login autologin webhook stripe shared client
  consumer security unlock feed role hash hashed service deploy cookie acceso usuario geheime geheimer
  prive privee secrete privater privada secreta user account admin
`),
)

/** Words that make `…_code` a credential. */
export const codeWords = new Set(
  list(`
  code codes
`),
)
export const codeOf = new Set(
  list(`
  recovery backup scratch verification verify confirmation confirm activation auth authentication
  authorization login otp mfa 2fa tfa twofa twofactor factor reset security access sms magic onetime
  unlock pairing secret emergency signin door alarm bestatigungs verificatie bevestigings herstel device
`),
)

/** Words that make `pass` a password, and `pin` a PIN. */
export const passOf = new Set(
  list(`
  user usr db database admin login account smtp imap pop pop3 ftp sftp ldap http basic email mail my new
  old hash hashed md5 sha sha1 sha256 salt enc member customer client web wifi wlan temp tmp reset auth
  app api proxy ssh vpn master root service plain repeat confirm word wd phrase
`),
)
export const pinOf = new Set(
  list(`
  user card hash hashed salt login security account access sim atm bank transaction digest customer
  employee staff new old reset my app device lock unlock parental terminal pos enc plain mobile kiosk
  clock number
`),
)

/** A hash of these is no password hash; receivers get the hashed value anyway. */
export const hashedThings = new Set(
  list(`
  content contents file files image images photo photos avatar picture email emails mail blur commit git
  tx transaction block geo tag tags address url row body data record phone document schema cache name
  perceptual media video attachment upload blob message query object page source build asset tree gravatar
  location ip path rate brown etag checksum version revision external
`),
)
/** A digest of these is a credential; most digests are mail. */
export const digestOf = new Set(
  list(`
  remember reset activation auth key api user login recovery session pin
`),
)
/** Edible salt. */
export const saltedFood = new Set(
  list(`
  level levels content free intake water grams g mg per percentage lake sea low added type amount quantity
  taste
`),
)

/** Exact names, their parts joined. */
export const exactly = new Set(
  list(`
  hash hashes digest salt salts pass pin mfa 2fa tfa twofa twofactor session sessions sessionid sid
  phpsessid clave claves auth authkey authdata authhash authstring authenticationstring authcookie
  sessioncookie sessiondata sessionhash sessionkey sessionstate rememberme remember magiclink loginlink
  resetlink activationlink verifier codeverifier srpverifier passwordverifier userhash hashedpin usersalt
  hashsalt usersessionid unlockcode resetcode resetkey activationkey activationcode logincode
  verificationcode confirmationcode authcode smscode activation kdfparams kdf keymaterial userpass dbpass
  adminpass smtppass loginpass ftppass hashpass passmd5 mypass cookie cookies authorization signatureseed
  otpseed totpseed webauthn fido yubikey
`),
)

/** Parts after `mfa` or `two_factor` that describe the method, not the secret. */
export const secondFactor = new Set(
  list(`
  mfa 2fa tfa twofa twofactor factor
`),
)
export const secondFactorOf = new Set(
  list(`
  code codes key keys seed data backup recovery
`),
)

/** Last parts that describe a credential and do not contain it. */
export const about = new Set(
  list(`
  at on date time timestamp ts until expires expiry expiration expire expired age ttl lifetime validity
  count counter total limit limits balance usage used budget quota attempts tries failures type types kind
  status enabled disabled required active verified confirmed algorithm algo policy strength score version
  length method methods provider issuer symbol price supply rate ratio percentage percent cost scope
  scopes name label title description manager santa changed updated created rotated revoked questions
  question by size position color colour icon holder owner language economy standard contract
`),
)
