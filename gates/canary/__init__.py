"""A canary's arithmetic: units of production -> evidence -> a decision in words. Standard library only, and pure."""

from gates.canary.holdbacks import holdback_look as holdback_look
from gates.canary.looking import look as look
