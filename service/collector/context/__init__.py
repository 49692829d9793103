"""What an event knows of its visit: page, campaign, channel, device and country."""
