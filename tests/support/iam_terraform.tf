# Every aws_iam_* resource that an account here can have. Read by tests/api/test_iam_terraform.py.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}

variable "endpoint" {}
variable "action" { default = "s3:List*" }
variable "word" { default = "first" }

provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    iam = var.endpoint
    sts = var.endpoint
  }
}

data "aws_caller_identity" "me" {}

locals {
  read = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = ["s3:Get*"], Resource = "*" }
  ] })
}

# Users and what they have

resource "aws_iam_user" "u" {
  name                 = "tfuser"
  path                 = "/tf/"
  permissions_boundary = aws_iam_policy.p.arn
  tags                 = { a = "b", word = var.word }
  force_destroy        = true
}

resource "aws_iam_user" "renamed" {
  name = "tf-${var.word}"
  path = "/tf/"
}

resource "aws_iam_access_key" "k" {
  user   = aws_iam_user.u.name
  status = var.word == "first" ? "Active" : "Inactive"
}

resource "aws_iam_user_login_profile" "l" {
  user                    = aws_iam_user.u.name
  password_reset_required = true
}

resource "aws_iam_user_policy" "up" {
  name   = "p"
  user   = aws_iam_user.u.name
  policy = local.read
}

resource "aws_iam_user_ssh_key" "ssh" {
  username   = aws_iam_user.u.name
  encoding   = "SSH"
  public_key = file("${path.module}/key.pub")
  status     = var.word == "first" ? "Active" : "Inactive"
}

resource "aws_iam_signing_certificate" "sc" {
  user_name        = aws_iam_user.u.name
  certificate_body = file("${path.module}/signing.pem")
}

resource "aws_iam_service_specific_credential" "ssc" {
  user_name    = aws_iam_user.u.name
  service_name = "codecommit.amazonaws.com"
}

resource "aws_iam_virtual_mfa_device" "mfa" {
  virtual_mfa_device_name = "tfmfa"
  path                    = "/tf/"
  tags                    = { word = var.word }
}

# Groups

resource "aws_iam_group" "g" {
  name = "tfgroup"
  path = "/tf/"
}

resource "aws_iam_group" "crew" { name = "tfcrew-${var.word}" }

resource "aws_iam_group_policy" "gp" {
  name   = "p"
  group  = aws_iam_group.g.name
  policy = local.read
}

resource "aws_iam_group_membership" "gm" {
  name  = "members"
  group = aws_iam_group.crew.name
  users = [aws_iam_user.u.name, aws_iam_user.renamed.name]
}

resource "aws_iam_user_group_membership" "m" {
  user   = aws_iam_user.u.name
  groups = [aws_iam_group.g.name]
}

resource "aws_iam_group_policy_attachment" "ga" {
  group      = aws_iam_group.g.name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_group_policies_exclusive" "gpe" {
  group_name   = aws_iam_group.g.name
  policy_names = [aws_iam_group_policy.gp.name]
}

resource "aws_iam_group_policy_attachments_exclusive" "gae" {
  group_name  = aws_iam_group.g.name
  policy_arns = [aws_iam_group_policy_attachment.ga.policy_arn]
}

# Policies

data "aws_iam_policy_document" "d" {
  statement {
    sid       = "One"
    actions   = [var.action]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalTag/team"
      values   = ["data"]
    }
  }
}

resource "aws_iam_policy" "p" {
  name        = "tfpolicy"
  path        = "/tf/"
  description = "d"
  policy      = data.aws_iam_policy_document.d.json
  tags        = { word = var.word }
}

resource "aws_iam_policy" "spread" {
  name   = "tfspread"
  policy = local.read
}

resource "aws_iam_policy_attachment" "pa" {
  name       = "spread"
  policy_arn = aws_iam_policy.spread.arn
  users      = [aws_iam_user.renamed.name]
  groups     = [aws_iam_group.crew.name]
  roles      = [aws_iam_role.plain.name]
}

# Roles

resource "aws_iam_role" "r" {
  name                 = "tfrole"
  path                 = "/tf/"
  description          = "x + y % z ${var.word}"
  max_session_duration = var.word == "first" ? 7200 : 3600
  permissions_boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Principal = { Service = "elasticmapreduce.amazonaws.com" }, Action = "sts:AssumeRole" },
    { Effect = "Allow", Principal = { AWS = data.aws_caller_identity.me.account_id }, Action = "sts:AssumeRole" },
    { Effect = "Allow", Principal = { AWS = aws_iam_user.u.arn }, Action = "sts:AssumeRole" }] })
  tags = { team = "data", word = var.word }
}

resource "aws_iam_role" "plain" {
  name = "tfplain"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }] })
}

resource "aws_iam_role_policy" "rp" {
  name = "p"
  role = aws_iam_role.r.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = ["s3:Get+*"], Resource = "arn:aws:s3:::a%b/*" }
  ] })
}

resource "aws_iam_role_policy_attachment" "rpa" {
  role       = aws_iam_role.r.name
  policy_arn = aws_iam_policy.p.arn
}

resource "aws_iam_role_policies_exclusive" "rpe" {
  role_name    = aws_iam_role.r.name
  policy_names = [aws_iam_role_policy.rp.name]
}

resource "aws_iam_role_policy_attachments_exclusive" "rae" {
  role_name   = aws_iam_role.r.name
  policy_arns = [aws_iam_role_policy_attachment.rpa.policy_arn]
}

resource "aws_iam_user_policy_attachment" "upa" {
  user       = aws_iam_user.u.name
  policy_arn = aws_iam_policy.p.arn
}

resource "aws_iam_user_policies_exclusive" "upe" {
  user_name    = aws_iam_user.u.name
  policy_names = [aws_iam_user_policy.up.name]
}

resource "aws_iam_user_policy_attachments_exclusive" "uae" {
  user_name   = aws_iam_user.u.name
  policy_arns = [aws_iam_user_policy_attachment.upa.policy_arn]
}

resource "aws_iam_instance_profile" "ip" {
  name = "tfprofile"
  path = "/tf/"
  role = var.word == "first" ? aws_iam_role.plain.name : aws_iam_role.r.name
  tags = { word = var.word }
}

resource "aws_iam_service_linked_role" "slr" {
  aws_service_name = "elasticmapreduce.amazonaws.com"
  description      = "the ${var.word}"
  tags             = { word = var.word }
}

# The account

resource "aws_iam_account_alias" "a" { account_alias = "tf-alias" }

resource "aws_iam_account_password_policy" "pp" {
  minimum_password_length        = var.word == "first" ? 10 : 12
  require_lowercase_characters   = true
  require_numbers                = true
  allow_users_to_change_password = true
  max_password_age               = 90
  password_reuse_prevention      = 3
}

resource "aws_iam_security_token_service_preferences" "sts" {
  global_endpoint_token_version = "v2Token"
}

resource "aws_iam_server_certificate" "cert" {
  name             = "tfcert"
  path             = "/tf/"
  certificate_body = file("${path.module}/server.pem")
  private_key      = file("${path.module}/server.key")
  tags             = { word = var.word }
  lifecycle { ignore_changes = [private_key] }
}

resource "aws_iam_saml_provider" "saml" {
  name                   = "tfsaml"
  saml_metadata_document = file("${path.module}/saml.xml")
  tags                   = { word = var.word }
}

resource "aws_iam_openid_connect_provider" "oidc" {
  url             = "https://issuer.example.org"
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"]
  tags            = { word = var.word }
}

# What can be looked up

data "aws_iam_policy" "by_arn" { arn = aws_iam_policy.p.arn }
data "aws_iam_policy" "by_name" { name = "AmazonEMRServicePolicy_v2" }
data "aws_iam_role" "r" { name = aws_iam_role.r.name }
data "aws_iam_roles" "tf" {
  path_prefix = "/tf/"
  depends_on  = [aws_iam_role.r]
}
data "aws_iam_user" "u" { user_name = aws_iam_user.u.name }
data "aws_iam_users" "tf" {
  path_prefix = "/tf/"
  depends_on  = [aws_iam_user.u]
}
data "aws_iam_group" "g" {
  group_name = aws_iam_group.g.name
  depends_on = [aws_iam_user_group_membership.m]
}
data "aws_iam_account_alias" "a" { depends_on = [aws_iam_account_alias.a] }
data "aws_iam_instance_profile" "ip" { name = aws_iam_instance_profile.ip.name }
data "aws_iam_instance_profiles" "of" {
  role_name  = aws_iam_role.plain.name
  depends_on = [aws_iam_instance_profile.ip]
}
data "aws_iam_access_keys" "k" {
  user       = aws_iam_user.u.name
  depends_on = [aws_iam_access_key.k]
}
data "aws_iam_server_certificate" "c" {
  name       = aws_iam_server_certificate.cert.name
  depends_on = [aws_iam_server_certificate.cert]
}
data "aws_iam_user_ssh_key" "k" {
  username          = aws_iam_user.u.name
  ssh_public_key_id = aws_iam_user_ssh_key.ssh.ssh_public_key_id
  encoding          = "SSH"
}
data "aws_iam_saml_provider" "s" { arn = aws_iam_saml_provider.saml.arn }
data "aws_iam_openid_connect_provider" "o" { arn = aws_iam_openid_connect_provider.oidc.arn }
data "aws_iam_session_context" "me" { arn = data.aws_caller_identity.me.arn }
data "aws_iam_principal_policy_simulation" "reads" {
  action_names      = ["s3:GetObject", "s3:PutObject"]
  resource_arns     = ["arn:aws:s3:::bucket/key"]
  policy_source_arn = aws_iam_role.plain.arn
  depends_on        = [aws_iam_policy_attachment.pa]
}

output "found" {
  value = {
    attached   = data.aws_iam_policy.by_name.arn
    roles      = data.aws_iam_roles.tf.names
    users      = data.aws_iam_users.tf.names
    members    = data.aws_iam_group.g.users[*].user_name
    alias      = data.aws_iam_account_alias.a.account_alias
    profile    = data.aws_iam_instance_profile.ip.role_name
    keys       = length(data.aws_iam_access_keys.k.access_keys)
    issuer     = data.aws_iam_session_context.me.issuer_arn
    simulated  = { for one in data.aws_iam_principal_policy_simulation.reads.results : one.action_name => one.decision }
    thumbprint = data.aws_iam_openid_connect_provider.o.thumbprint_list
  }
}
