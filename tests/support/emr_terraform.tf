# Clusters of groups and of fleets, what guards them, a Studio. Read by tests/api/test_clusters_terraform.py.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}

variable "endpoint" {}
variable "vpc" {}
variable "subnet" {}
variable "engine" {}
variable "workspace" {}
variable "bucket" {}

provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    emr = var.endpoint
    iam = var.endpoint
    sts = var.endpoint
  }
}

resource "aws_emr_security_configuration" "s" {
  name = "tf"
  configuration = jsonencode({
    InstanceMetadataServiceConfiguration = {
      MinimumInstanceMetadataServiceVersion = 2
      HttpPutResponseHopLimit               = 1
    }
  })
}

resource "aws_emr_block_public_access_configuration" "b" {
  block_public_security_group_rules = true
  permitted_public_security_group_rule_range {
    min_range = 22
    max_range = 22
  }
  permitted_public_security_group_rule_range {
    min_range = 100
    max_range = 101
  }
}

resource "aws_emr_cluster" "groups" {
  name                              = "tf-groups"
  release_label                     = "emr-8.0.0"
  applications                      = ["Livy", "Spark"]
  service_role                      = "EMR_DefaultRole_V2"
  security_configuration            = aws_emr_security_configuration.s.name
  keep_job_flow_alive_when_no_steps = true
  log_uri                           = "s3://${var.bucket}/logs/"
  tags                              = { team = "a" }
  configurations_json               = jsonencode([{ Classification = "spark-defaults", Properties = { "spark.x" = "1" } }])
  ec2_attributes {
    subnet_id                         = var.subnet
    instance_profile                  = "EMR_EC2_DefaultRole"
    emr_managed_master_security_group = var.engine
    emr_managed_slave_security_group  = var.engine
  }
  master_instance_group {
    instance_type = "m5.xlarge"
  }
  core_instance_group {
    instance_type  = "m5.xlarge"
    instance_count = 1
  }
  auto_termination_policy {
    idle_timeout = 3600
  }
  lifecycle {
    # The provider does not read these two: an imported cluster would be replaced, on AWS too.
    ignore_changes = [keep_job_flow_alive_when_no_steps, configurations_json]
  }
}

resource "aws_emr_instance_group" "task" {
  cluster_id     = aws_emr_cluster.groups.id
  instance_type  = "m5.xlarge"
  instance_count = 2
}

resource "aws_emr_managed_scaling_policy" "m" {
  cluster_id = aws_emr_instance_group.task.cluster_id
  compute_limits {
    unit_type              = "Instances"
    minimum_capacity_units = 3
    maximum_capacity_units = 6
  }
}

resource "aws_emr_cluster" "fleets" {
  name                              = "tf-fleets"
  release_label                     = "emr-8.0.0"
  applications                      = ["Spark"]
  service_role                      = "EMR_DefaultRole_V2"
  keep_job_flow_alive_when_no_steps = true
  ec2_attributes {
    subnet_id        = var.subnet
    instance_profile = "EMR_EC2_DefaultRole"
  }
  master_instance_fleet {
    target_on_demand_capacity = 1
    instance_type_configs {
      instance_type = "m5.xlarge"
    }
  }
  core_instance_fleet {
    name                      = "core"
    target_on_demand_capacity = 1
    target_spot_capacity      = 1
    instance_type_configs {
      instance_type     = "m5.xlarge"
      weighted_capacity = 1
    }
    launch_specifications {
      spot_specification {
        allocation_strategy      = "capacity-optimized"
        timeout_action           = "SWITCH_TO_ON_DEMAND"
        timeout_duration_minutes = 10
      }
    }
  }
  lifecycle {
    ignore_changes = [keep_job_flow_alive_when_no_steps, configurations_json]
  }
}

resource "aws_emr_instance_fleet" "task" {
  cluster_id           = aws_emr_cluster.fleets.id
  name                 = "task"
  target_spot_capacity = 2
  instance_type_configs {
    instance_type     = "m5.2xlarge"
    weighted_capacity = 2
  }
}

resource "aws_emr_studio" "s" {
  name                        = "tf"
  auth_mode                   = "IAM"
  default_s3_location         = "s3://${var.bucket}/studio"
  engine_security_group_id    = var.engine
  workspace_security_group_id = var.workspace
  service_role                = "arn:aws:iam::123456789012:role/EMRStudio_ServiceRole"
  subnet_ids                  = [var.subnet]
  vpc_id                      = var.vpc
  tags                        = { team = "a" }
}

data "aws_emr_release_labels" "all" {}

output "labels" {
  value = data.aws_emr_release_labels.all.release_labels
}

output "studio" {
  value = { id = aws_emr_studio.s.id, arn = aws_emr_studio.s.arn, url = aws_emr_studio.s.url }
}
