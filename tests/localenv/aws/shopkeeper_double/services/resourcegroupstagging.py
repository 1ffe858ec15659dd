"""Resource Groups Tagging API: the size of a page is what was asked for.

Where moto is asked for pages of so many resources, it still ends each at a hundred tags, which are a dozen resources.
"""

from __future__ import annotations

from typing import Any

from moto.resourcegroupstaggingapi import models, responses

from . import replaces

#: More tags than a page of a hundred resources can have: AWS allows 50 for each.
NO_BOUND = 100 * 50 + 1


def install() -> None:
    @replaces(responses.ResourceGroupsTaggingAPIResponse)
    def get_resources(before: Any, self: Any) -> Any:
        self.backend.pages_by_tags = self._get_param("TagsPerPage") is not None
        return before(self)

    @replaces(models.ResourceGroupsTaggingAPIBackend)
    def get_resources(before: Any, self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: F811
        if not self.pages_by_tags:
            kwargs["tags_per_page"] = NO_BOUND
        return before(self, *args, **kwargs)
