// samlp, a SAML identity provider by Auth0, for the tests.
//
//   node idp.cjs KEY.pem CERT.pem ROLE,PROVIDER     says "listening PORT" on a free port of 127.0.0.1
//
// GET /metadata                  its metadata
// GET /sso?sign=response|assertion    a SAML response of a signed-in person, base64, as plain text;
//     &digest=sha1    signed with SHA-1
//     &encrypt=gcm|cbc    its assertion encrypted for the certificate's key
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const express = require("express");
const samlp = require("samlp");

const [keyFile, certFile, pair] = process.argv.slice(2);
const key = fs.readFileSync(keyFile);
const cert = fs.readFileSync(certFile);
const issuer = "urn:idp.example.com";
const algorithms = {
  gcm: "http://www.w3.org/2009/xmlenc11#aes256-gcm",
  cbc: "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
};
const address = "https://signin.aws.amazon.com/saml";

function profileMapper(user) {
  return {
    getClaims: () => ({
      "https://aws.amazon.com/SAML/Attributes/Role": [pair],
      "https://aws.amazon.com/SAML/Attributes/RoleSessionName": user.name,
      "https://aws.amazon.com/SAML/Attributes/PrincipalTag:team": "data",
    }),
    getNameIdentifier: () => ({
      nameIdentifier: user.name,
      nameIdentifierFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    }),
  };
}
profileMapper.prototype.metadata = [];

const app = express();
app.get("/metadata", samlp.metadata({ issuer, cert, profileMapper, redirectEndpointPath: "/sso", postEndpointPath: "/sso" }));
app.get("/sso", (request, response, next) => {
  request.user = { name: "ann@example.com" };
  const weak = request.query.digest === "sha1";
  samlp.auth({
    issuer,
    cert,
    key,
    audience: address,
    recipient: address,
    destination: address,
    getPostURL: (_audience, _dom, _request, done) => done(null, address),
    getUserFromRequest: (asked) => asked.user,
    profileMapper,
    signResponse: request.query.sign === "response",
    signatureAlgorithm: weak ? "rsa-sha1" : "rsa-sha256",
    digestAlgorithm: weak ? "sha1" : "sha256",
    lifetimeInSeconds: 300,
    ...(request.query.encrypt
      ? {
          encryptionPublicKey: crypto.createPublicKey(cert).export({ type: "spki", format: "pem" }),
          encryptionCert: cert,
          encryptionAlgorithm: algorithms[request.query.encrypt],
          disallowEncryptionWithInsecureAlgorithm: false,
        }
      : {}),
    responseHandler: (saml, _options, _request, answer) => answer.type("text/plain").send(saml.toString("base64")),
  })(request, response, next);
});
const server = app.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
