//! Names of fields that hold something about a person, in the languages in which interfaces are written. A long name may
//! end a key (`customerFirstName`); one of at most six letters has to be its last word.

use super::keys::{Compact, has_last_word};

/// Whether the key ends with one of the names, which blanks part.
fn is_any(key: &str, names: &str) -> bool {
    let compact = Compact::new(key);
    names.split_whitespace().any(|name| match name.len() {
        ..=6 => compact.is(name) || (compact.ends_with(name) && has_last_word(key, name)),
        _ => compact.ends_with(name),
    })
}

pub(super) fn names_a_person(key: &str) -> bool {
    const NAMES: &str = "firstname fname givenname forename middlename lastname lname surname familyname maidenname birthname \
        fullname legalname realname displayname nickname personname customername clientname patientname \
        recipientname sendername holdername nameoncard ownername payername payeename beneficiaryname employeename \
        contactname guestname passengername studentname vorname nachname familienname kontoinhaber prenom prénom \
        nomdefamille nombre apellido apellidos cognome sobrenome voornaam achternaam fornavn efternavn etternavn \
        fornamn efternamn etunimi sukunimi imie imię nazwisko jmeno prijmeni keresztnev vezeteknev prenume soyad \
        soyadi 姓名 氏名 이름 имя фамилия отчество";
    is_any(key, NAMES)
}

pub(super) fn names_a_birthday(key: &str) -> bool {
    const NAMES: &str = "bday geburtsdatum geburtstag datenaissance datedenaissance fechanacimiento fechadenacimiento \
        datadinascita datanascita datanascimento datadenascimento geboortedatum fodselsdato fodelsedatum \
        syntymaaika dataurodzenia datumnarozeni dogumtarihi 生年月日 出生日期 생년월일 датарождения";
    is_any(key, NAMES)
}

/// Sex, family, origin.
pub(super) fn names_a_trait(key: &str) -> bool {
    const NAMES: &str = "gender sex geschlecht genero género sexe geslacht pronouns maritalstatus familienstand estadocivil \
        situationfamiliale civilstatus nationality nationalitaet staatsangehorigkeit nacionalidad nationalite \
        nazionalita citizenship countryofbirth placeofbirth birthplace immigrationstatus visastatus";
    is_any(key, NAMES)
}

/// What the law calls special categories: origin, belief, orientation, convictions, measures of the body.
pub(super) fn names_a_special_category(key: &str) -> bool {
    const NAMES: &str = "religion religiousbelief konfession ethnicity ethnicgroup ethnicorigin race racialorigin \
        sexualorientation politicalparty politicalaffiliation politicalopinion politicalview unionmember \
        tradeunion unionmembership criminalrecord convictions biometric biometricdata biometrictemplate \
        fingerprinttemplate faceprint faceembedding faceid voiceprint irisscan retinascan dnasequence genotype";
    is_any(key, NAMES)
}

pub(super) fn names_health(key: &str) -> bool {
    const NAMES: &str = "bloodtype bloodgroup blutgruppe diagnosis diagnoses diagnose diagnosiscode icd10 icdcode medicalcondition \
        healthcondition medicalhistory medication medications prescription allergies allergy disability \
        disabilities pregnant hivstatus medicalrecordnumber medicalrecord mrn patientid patientnumber \
        healthinsurancenumber healthplannumber insuranceid insurancenumber policynumber healthid bloodpressure \
        heartrate bodyweight weightkg heightcm bmi vaccination labresult";
    is_any(key, NAMES)
}

pub(super) fn names_a_place(key: &str) -> bool {
    const NAMES: &str = "street streetname streetnumber housenumber hausnummer strasse straße postcode postalcode postal zip \
        zipcode zip4 plz postleitzahl codepostal codigopostal cep kodpocztowy postnummer homecity cityofresidence \
        residence adresse direccion dirección indirizzo endereco endereço adres adress osoite adresa logradouro \
        住所 地址 주소 адрес";
    is_any(key, NAMES)
}

pub(super) fn names_a_position(key: &str) -> bool {
    const NAMES: &str = "latitude longitude lat lng lon gps geopoint geolocation coordinates latlng latlong gpslocation \
        gpscoordinates lastlocation currentlocation homelocation userlocation breitengrad laengengrad";
    is_any(key, NAMES)
}

pub(super) fn names_card_data(key: &str) -> bool {
    const NAMES: &str = "cvv cvc cvv2 cvc2 cvn cardcvv cardcvc cardsecuritycode securitycode cardverificationcode \
        cardverificationvalue cardexpiry cardexpiration cardexpirydate cardexpirationdate cardexp expirydate \
        expdate expmonth expyear cardlast4 track1 track2 magstripe pinblock";
    is_any(key, NAMES)
}

pub(super) fn names_an_account(key: &str) -> bool {
    const NAMES: &str = "accountnumber accountno acctnumber acctno acctnum bankaccountnumber kontonummer kontonr numerodecuenta \
        numerocuenta numerocompte numeroconto numeroconta rekeningnummer bban sortcode bankleitzahl blz bic \
        biccode swift swiftcode swiftbic ifsc ifsccode bsb bsbnumber clabe cbu transitnumber upiid";
    is_any(key, NAMES)
}

/// What a person earns, owns and owes.
pub(super) fn names_means(key: &str) -> bool {
    const NAMES: &str = "salary salaries annualincome monthlyincome income grossincome netincome wage hourlywage gehalt einkommen \
        salaire salario salário stipendio networth creditscore ficoscore creditrating accountbalance bankbalance \
        walletbalance debtamount creditlimit payslip compensation";
    is_any(key, NAMES)
}

/// Codes and answers by which a person proves who it is.
pub(super) fn names_a_proof(key: &str) -> bool {
    const NAMES: &str = "otp otpcode onetimepassword onetimecode onetimepasscode verificationcode confirmationcode smscode mfacode \
        mfatoken twofactorcode 2facode totp totpcode authcode authenticationcode passcode pincode securityanswer \
        secretanswer securityquestionanswer recoverycode recoverycodes backupcode backupcodes recoveryphrase \
        seedphrase mnemonic recoverykey csrftoken xsrftoken magiclink activationcode resetcode authorizationcode \
        devicecode tan";
    is_any(key, NAMES)
}

pub(super) fn names_a_document(key: &str) -> bool {
    const NAMES: &str = "documentnumber documentno iddocument idcardnumber idcard identitycardnumber passno passportno passnumber \
        reisepass reisepassnummer ausweisnummer personalausweis traveldocument traveldocumentnumber fuehrerschein \
        führerschein fuehrerscheinnummer permisconduire permisdeconduire carnetconducir patente rijbewijs korkort \
        drivingpermit visanumber residencepermit greencard alienregistrationnumber voterid voternumber \
        birthcertificate birthcertificatenumber militaryid";
    is_any(key, NAMES)
}

pub(super) fn names_a_plate(key: &str) -> bool {
    const NAMES: &str = "licenseplate licenceplate platenumber plateno numberplate registrationplate vehicleregistration \
        registrationmark kennzeichen kfzkennzeichen matricula immatriculation targa kenteken plaka rejestracja";
    is_any(key, NAMES)
}

pub(super) fn names_a_device(key: &str) -> bool {
    const NAMES: &str = "deviceid deviceuuid devicefingerprint browserfingerprint deviceserial androidid idfa idfv gaid aaid adid \
        advertisingid advertisingidentifier imsi iccid simserial simnumber meid udid hardwareid machineid";
    is_any(key, NAMES)
}

/// Numbers under which an employer or a school knows a person.
pub(super) fn names_membership(key: &str) -> bool {
    const NAMES: &str = "employeeid employeenumber staffid staffnumber personnelnumber personalnummer payrollnumber badgenumber \
        studentid studentnumber matrikelnummer matriculationnumber pupilid";
    is_any(key, NAMES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_keys() {
        for key in ["firstName", "customer_first_name", "Nachname", "billing.surname", "姓名"] {
            assert!(names_a_person(key), "{key}");
        }
        for key in ["fileName", "name", "hostname", "firstNameRequired", "nombreDeArchivo"] {
            assert!(!names_a_person(key), "{key}");
        }
        assert!(names_a_trait("sex") && names_a_trait("userGender"));
        assert!(!names_a_trait("genderFilter") && !names_a_trait("sexRatio") && !names_a_trait("Essex"));
        assert!(names_a_position("lat") && names_a_position("store_lng"));
        assert!(!names_a_position("flat") && !names_a_position("latency"));
        assert!(names_a_place("zip") && !names_a_place("unzip"));
        assert!(names_means("accountBalance") && !names_means("loadBalancer"));
    }
}
