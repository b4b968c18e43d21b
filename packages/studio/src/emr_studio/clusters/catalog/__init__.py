"""What clusters can be made of: releases with their applications, instance types."""
